"""The HEBI driver against hebi-py's imitation group, which echoes commands at once and knows no time."""

import numpy as np
import pytest

hebi = pytest.importorskip("hebi", reason="hebi-py is not installed (requirements-hardware.txt)")
pytest.importorskip("rclpy")

from keypoint_arms import ARMS  # noqa: E402
from keypoint_arms.hebi import HebiArm, HebiParameters, gravity_model, look_up  # noqa: E402
from keypoint_core.arms.description import load_arm  # noqa: E402
from keypoint_core.arms.parameters import ArmParameters, make_controller  # noqa: E402
from keypoint_core.errors import ArmError, InputError  # noqa: E402
from keypoint_core.parameters import check_parameters  # noqa: E402
from keypoint_core.types import ArmCommand  # noqa: E402

ARM = load_arm("hebi_chopsticks")
POSITION = np.array([0.4, 2.2, 2.0, 1.3, -1.5, 2.0])
RELEASED = 1


class Feedback:
    """Feedback of the imitation with an M-stop as real modules have it."""

    def __init__(self, feedback, mstop):
        self.position, self.velocity, self.effort = feedback.position, feedback.velocity, feedback.effort
        self.mstop_state = mstop


class Group:
    """The imitation group; records commands, and can fall silent, lose a module or have its M-stop pressed."""

    def __init__(self, size=7):
        self.real = hebi.util.create_imitation_group(size)
        self.size, self.mstop = size, np.full(size, RELEASED)
        self.silent = self.deaf = False
        self.sent, self.safety = [], None

    def __setattr__(self, name, value):
        if name in ("feedback_frequency", "command_lifetime"):
            setattr(self.real, name, value)
        else:
            object.__setattr__(self, name, value)

    def send_command(self, command):
        self.sent.append((command.position.copy(), command.velocity.copy(), command.effort.copy()))
        return self.real.send_command(command) and not self.deaf

    def send_command_with_acknowledgement(self, command, timeout_ms):
        self.safety = command
        return self.real.send_command_with_acknowledgement(command, timeout_ms=timeout_ms) and not self.deaf

    def get_next_feedback(self, timeout_ms):
        return None if self.silent else Feedback(self.real.get_next_feedback(timeout_ms=timeout_ms), self.mstop)


@pytest.fixture
def group():
    return Group()


@pytest.fixture
def driver(group):
    arm = HebiArm(None, ARM, HebiParameters(), lambda parameters: group)
    arm.connect()
    yield arm
    arm.close()
    arm.close()


def command(position=POSITION, gripper=-0.3):
    return ArmCommand(position, np.full(6, 0.1), gripper)


def test_the_registry_knows_it():
    assert ARMS.load("hebi") is HebiArm
    check_parameters(HebiParameters())


def test_commands_come_back_as_feedback(driver, group):
    driver.write(command())
    state = driver.read()
    np.testing.assert_allclose(state.position, POSITION, atol=1e-6)
    np.testing.assert_allclose(state.velocity, 0.1, atol=1e-6)
    assert state.gripper == pytest.approx(-0.3, abs=1e-6)
    assert state.stamp > 0
    assert group.real.command_lifetime == 100  # [ms]
    assert group.real.feedback_frequency == 100.0


def test_the_gripper_is_the_last_module_and_gets_no_velocity(driver, group):
    driver.write(command(gripper=-0.5))
    position, velocity, effort = group.sent[-1]
    assert position[6] == pytest.approx(-0.5)
    assert np.isnan(velocity[6])
    assert np.isnan(effort[6])


def test_efforts_hold_the_arm_up(driver, group):
    driver.write(command())
    assert np.isnan(group.sent[-1][2]).all(), "nothing is known of the posture before the first feedback"
    driver.read()
    driver.write(command())
    effort = group.sent[-1][2][:6]
    model = gravity_model(HebiParameters(), 6)
    np.testing.assert_allclose(effort, model.get_grav_comp_efforts(POSITION, np.array([0, 0, -9.81])), atol=1e-4)
    assert abs(effort[0]) < 1e-6, "the base turns about the vertical"
    assert abs(effort[1]) > 1.0


def test_gravity_is_the_slope_of_potential_energy():
    """The tool's part of the efforts is its weight times the slope of its height, by finite differences."""
    with_tool = gravity_model(HebiParameters(tool_com=(0.0, 0.0, 0.0)), 6)
    without = gravity_model(HebiParameters(tool_mass=0.0), 6)
    gravity = np.array([0, 0, -9.81])

    def height(q):
        return with_tool.get_forward_kinematics("output", q)[-1][2, 3]

    step = 1e-6
    slope = [(height(POSITION + step * e) - height(POSITION - step * e)) / (2 * step) for e in np.eye(6)]
    tool = with_tool.get_grav_comp_efforts(POSITION, gravity) - without.get_grav_comp_efforts(POSITION, gravity)
    np.testing.assert_allclose(tool, 0.36 * 9.81 * np.array(slope), atol=1e-4)


def test_limits_and_strategies_are_set_before_anything_moves(driver, group):
    assert not group.sent
    np.testing.assert_allclose(group.safety.position_limit_min, [*ARM.lower, -0.646], atol=1e-6)
    np.testing.assert_allclose(group.safety.position_limit_max, [*ARM.upper, -0.175], atol=1e-6)
    assert (group.safety.mstop_strategy == 2).all()  # HoldPosition
    assert (group.safety.min_position_limit_strategy == 1).all()  # DampedSpring
    echo = group.real.get_next_feedback(timeout_ms=100)
    assert np.isnan([echo.position, echo.velocity, echo.effort]).all(), "connecting moves nothing"


def test_stop_holds_the_measured_posture(driver, group):
    driver.stop()
    assert not group.sent, "the posture is not known yet"
    driver.write(command())
    driver.read()
    driver.stop()
    position, velocity, effort = group.sent[-1]
    np.testing.assert_allclose(position, [*POSITION, -0.3], atol=1e-6)
    assert (velocity == 0).all()
    assert np.isfinite(effort[:6]).all()


def test_the_arm_goes_home_through_the_gate(driver, group):
    """Driver, controller and gate together, as the control loop runs them; the imitation is an ideal motor."""
    start = ARM.home + 0.1
    driver.write(command(start))
    driver.read()
    controller = make_controller(ARM, ArmParameters(workspace=(-2.0, -2.0, -2.0, 2.0, 2.0, 2.0)))
    controller.update(driver.read(), 0)
    assert controller.go_home()
    for tick in range(1, 300):
        done = controller.update(driver.read(), tick * 10_000_000)
        driver.write(done.command)
        if done.at_home:
            break
    np.testing.assert_allclose(driver.read().position, ARM.home, atol=0.02)
    steps = np.diff([position[:6] for position, _, _ in group.sent[1:]], axis=0)
    assert np.abs(steps).max() <= ARM.velocity.max() * 0.01 + 1e-6, "no jump"


def test_a_pressed_mstop_is_an_error_that_names_the_modules(driver, group):
    driver.write(command())
    group.mstop = np.array([1, 1, 0, 1, 1, 1, 1])
    with pytest.raises(ArmError, match=r"M-stop is pressed \(modules J3_elbow\)"):
        driver.read()
    group.mstop = np.full(7, RELEASED)
    driver.read()


def test_silence_and_missing_values_are_errors(driver, group):
    with pytest.raises(ArmError, match="no position from HEBI modules J1_base"):
        driver.read()  # nothing was commanded, so the imitation has nothing to echo
    group.silent = True
    with pytest.raises(ArmError, match=r"no feedback from the HEBI modules for 0\.1 s"):
        driver.read()
    group.deaf = True
    with pytest.raises(ArmError, match="could not be sent"):
        driver.write(command())


def test_modules_that_do_not_acknowledge_are_refused():
    deaf = Group()
    deaf.deaf = True
    arm = HebiArm(None, ARM, HebiParameters(), lambda parameters: deaf)
    with pytest.raises(ArmError, match="did not acknowledge"):
        arm.connect()
    with pytest.raises(ArmError, match="not connected"):
        arm.read()
    arm.stop()


def test_a_group_of_another_size_is_refused():
    arm = HebiArm(None, ARM, HebiParameters(), lambda parameters: Group(6))
    with pytest.raises(ArmError, match="6 modules, 'hebi_chopsticks' needs 7"):
        arm.connect()


@pytest.mark.parametrize(
    "values", [{"names": ("a", "b")}, {"families": ("a", "b")}, {"hrdf": "absent.hrdf"}], ids=lambda v: next(iter(v))
)
def test_parameters_that_do_not_fit_are_refused(values):
    with pytest.raises(InputError, match="driver hebi"):
        HebiArm(None, ARM, HebiParameters(**values))


class Lookup:
    """A network with two modules on it."""

    DEFAULT_TIMEOUT_MS = 500
    entrylist = tuple(type("Entry", (), {"family": "Arm", "name": name}) for name in ("J1_base", "spare"))

    def get_group_from_names(self, families, names, timeout_ms):
        raise RuntimeError


def test_absent_modules_are_named_with_those_found():
    library = type("hebi", (), {"Lookup": Lookup})
    with pytest.raises(ArmError) as caught:
        look_up(library, HebiParameters(names=("J1_base", "J2_shoulder")))
    assert "not found: Arm/J2_shoulder; on the network: Arm/J1_base, Arm/spare" in str(caught.value)


def test_the_real_lookup_finds_nothing_here():
    arm = HebiArm(None, ARM, HebiParameters(families=("nobody has this family",)))
    with pytest.raises(ArmError, match="on the network"):
        arm.connect()
