"""Base of the stack's nodes: lifecycle, parameters from a dataclass, diagnostics, errors that end in words."""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from keypoint_core.errors import KeypointError
from keypoint_ros.diagnostics import Diagnostics
from keypoint_ros.parameters import declare_parameters

# How long one thread keeps the interpreter while another wants it [s]. With Python's 5 ms a worker that has its input
# waits longer than most stages compute.
_SWITCH_INTERVAL = 0.0005


class KeypointNode(LifecycleNode):
    """A managed node.

    A node overrides `configure` (read files, load models), `activate`, `deactivate` and `cleanup`; errors that the
    stack raises on purpose become a failed transition and a diagnostic. With the parameter `autostart` (default) the
    node configures and activates itself, and ends with exit code 1 when it cannot.
    """

    Parameters: ClassVar[type]
    coroutines: ClassVar[bool] = False  # callbacks that await; EventsExecutor (rclpy 9.1) would burn a core meanwhile

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.autostart = bool(self.declare_parameter("autostart", True).value)
        self.parameters: Any = declare_parameters(self, self.Parameters)
        self.lockstep = bool(self.get_parameter("use_sim_time").value)
        self.diagnostics = Diagnostics(self)
        self.active = False

    def configure(self) -> None:
        """Reads files and loads models; may raise KeypointError."""

    def activate(self) -> None:
        """Begins to work; may raise KeypointError."""

    def deactivate(self) -> None:
        """Ceases to work; safe to call twice."""

    def cleanup(self) -> None:
        """Gives back what configure took; safe to call twice."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition."""
        return self._attempt("configure", self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition."""
        result = self._attempt("activate", self.activate)
        self.active = result == TransitionCallbackReturn.SUCCESS
        if self.active:
            self.diagnostics.ok()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition."""
        self.active = False
        return self._attempt("deactivate", self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition."""
        return self._attempt("clean up", self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle transition."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def start(self) -> bool:
        """Configures and activates; whether that worked."""
        succeeded = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == succeeded and self.trigger_activate() == succeeded

    def close(self) -> None:
        """Ends whatever runs."""
        self.active = False
        self.deactivate()
        self.cleanup()

    def report(self, message: str) -> None:
        """An error of the running node: logged at most once a second, and in the diagnostics."""
        self.get_logger().error(message, throttle_duration_sec=1.0)
        self.diagnostics.error(message)

    def failed(self, error: Exception) -> None:
        """An error in a worker thread."""
        self.report(f"{type(error).__name__}: {error}")

    def _attempt(self, what: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            action()
        except (KeypointError, OSError) as error:
            self.get_logger().error(f"cannot {what}: {error}")
            self.diagnostics.error(f"cannot {what}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().fatal(f"cannot {what}:\n{traceback.format_exc()}")  # rclpy swallows it
            raise
        return TransitionCallbackReturn.SUCCESS


def run(make_node: Callable[[], KeypointNode]) -> None:
    """Runs one node as a process until SIGINT or SIGTERM; `main` of every node.

    The signals only ask the loop to end: ROS stays up until the node is closed, so that an arm's last words get out.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    faulthandler.register(signal.SIGUSR1)  # kill -USR1 prints what every thread is doing
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        started = not node.autostart or node.start()
        if started:
            spin(node, stopping)
    except KeypointError as error:
        print(error, file=sys.stderr)
        started = False
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
    sys.exit(0 if started else 1)


def spin(node: KeypointNode, stopping: threading.Event) -> None:
    """Serves callbacks until told to stop, with the cheapest executor there is."""
    executor = _make_executor(node)
    executor.add_node(node)
    while rclpy.ok() and not stopping.is_set():
        executor.spin_once(timeout_sec=0.1)  # EventsExecutor.spin() hangs where no callback ever comes
    executor.remove_node(node)


def _make_executor(node: KeypointNode) -> Any:
    if not node.coroutines:
        try:
            from rclpy.experimental import EventsExecutor

            return EventsExecutor()
        except ImportError:  # Jazzy has none
            pass
    return SingleThreadedExecutor()
