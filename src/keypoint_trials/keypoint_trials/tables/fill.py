"""Fills the ATK paper's tables with this stack's own deployment: `make tables`.

    python -m keypoint_trials.tables.fill --task clock_button --method atk,full_set --condition rp,light --n 20

Every episode is on rendered frames, with correspondence and tracker in the loop. Each is written down as soon as it ends
(`runs/tables/episodes`), so the command goes on where it was stopped, and does anew only what was trained anew. Those that
come with the checkpoints (`models/results`) count as well; `--no-run` shows what there is. It leaves tables.html, tables.png
and tables.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keypoint_core.arms.description import DEFAULT_ROBOT, robot_name
from keypoint_core.checkpoint import CARD, models_folder
from keypoint_core.errors import KeypointError, UnknownNameError
from keypoint_core.runs import runs_root, write_summary
from keypoint_trials.console import make_console
from keypoint_trials.evaluate import EpisodeResult, run_scene, scenes
from keypoint_trials.methods import method_named
from keypoint_trials.parallel import Workers, add_worker_options, in_order
from keypoint_trials.quality import transfer as bench
from keypoint_trials.quality.record import known_tasks
from keypoint_trials.quality.scenes import kinds_of_scenes
from keypoint_trials.quality.transfer_report import group
from keypoint_trials.tables.cells import Book, Cell, fingerprint, score
from keypoint_trials.tables.figure import write_figure
from keypoint_trials.tables.layout import Layout, known_conditions, known_methods, layouts
from keypoint_trials.tables.page import Scores, Transfer, rate_text, write_csv, write_page
from keypoint_trials.tables.published import TASKS

SELECTION = "selection.png"
RESULTS = "results"  # below the models
TRANSFER = ("atk", "light+camera", 5000)  # checkpoint, condition and first scene of Table 3


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fills the ATK paper's tables with this stack's own figures.")
    parser.add_argument("--task", default=",".join(TASKS), help="names joined by commas (default: the paper's)")
    parser.add_argument("--method", default=",".join(known_methods()), help="joined by commas (default: %(default)s)")
    parser.add_argument(
        "--condition", default=",".join(known_conditions()), help="joined by commas (default: %(default)s)"
    )
    parser.add_argument("--training-seed", default="0,1,2", help="of the checkpoints, joined by commas")
    parser.add_argument("--robot", type=robot_name, default=DEFAULT_ROBOT)
    parser.add_argument("--n", type=int, default=100, help="scenes of each cell and training seed")
    parser.add_argument("--seed", type=int, default=0, help="chooses the scenes")
    parser.add_argument("--transfer", type=int, default=100, help="scenes of each task for Table 3; 0 leaves it empty")
    parser.add_argument("--folder", type=Path, default=None, help="of episodes and tables (default: runs/tables)")
    parser.add_argument("--run", action=argparse.BooleanOptionalAction, default=True, help="run what is missing")
    add_worker_options(parser)
    chosen = parser.parse_args(arguments)
    if chosen.n < 0 or chosen.transfer < 0 or chosen.seed < 0:
        parser.error("--n, --transfer and --seed must not be negative")
    return chosen


def chosen(text: str, known: Iterable[str], kind: str) -> list[str]:
    """The names of a list joined by commas; raises UnknownNameError of one that is not known."""
    names, there = [name.strip().lower() for name in text.split(",")], set(known)
    for name in names:
        if name not in there:
            raise UnknownNameError(kind, name, list(there))
    return names


def plan(tasks: Sequence[str], shown: Sequence[Layout], training_seeds: Sequence[int], robot: str) -> list[Cell]:
    """Every cell that the tables show, once."""
    cells = [
        Cell(task, method, condition, training_seed, robot)
        for task in tasks
        for layout in shown
        for method in layout.methods
        for condition in layout.conditions
        for training_seed in training_seeds
    ]
    return list(dict.fromkeys(cells))


def trained(cell: Cell) -> bool:
    """Whether there is a checkpoint for it."""
    return (models_folder() / cell.request().checkpoint / CARD).is_file()


def run_missing(cells: Sequence[Cell], seeds: Sequence[int], book: Book, workers: Workers, console: Console) -> None:
    """Runs the episodes that the book lacks; those of one cell follow one another."""
    missing = [(cell, seed) for cell in cells for seed in _left(book, cell, seeds)]
    jobs = ((cell.request(), seed) for cell, seed in missing)
    results = in_order(run_scene, jobs, workers)
    for (cell, _), episode in track(
        zip(missing, results, strict=True), "episodes", total=len(missing), console=console, disable=not missing
    ):
        book.add(cell, episode)


def _left(book: Book, cell: Cell, seeds: Sequence[int]) -> Iterator[int]:
    done = book.load(cell)
    return (seed for seed in seeds if seed not in done)


def scores_of(cells: Sequence[Cell], seeds: Sequence[int], book: Book) -> Scores:
    """What the book says of these scenes."""
    episodes: dict[tuple[str, str, str], list[list[EpisodeResult]]] = {}
    for cell in cells:
        done = book.load(cell)
        there = [done[seed] for seed in seeds if seed in done]
        episodes.setdefault((cell.task, cell.method, cell.condition), []).append(there)
    return {key: score(*key, seeds) for key, seeds in episodes.items()}


def transfer_jobs(tasks: Sequence[str], robot: str, n: int, folder: Path) -> list[bench.Job]:
    """The scenes of Table 3: where the kept keypoints of each task are located."""
    method, condition, first = TRANSFER
    jobs = []
    for task in tasks:
        cell = Cell(task, method, condition, 0, robot)
        if n and trained(cell):
            results = folder / "transfer" / fingerprint(cell.request().checkpoint)
            view = bench.View(task, robot, method, bench.POINTS)
            kinds = kinds_of_scenes(n, 0.0)
            backends = (cell.correspondence,)
            jobs += [bench.Job(view, condition, first + i, kind, backends, results) for i, kind in enumerate(kinds)]
    return jobs


def measure_transfer(jobs: Sequence[bench.Job], workers: Workers, console: Console) -> dict[str, Transfer]:
    """Table 3: how well the kept keypoints of each task are located."""
    shown = track(in_order(bench.run, jobs, workers), "transfer", total=len(jobs), console=console, disable=not jobs)
    groups = group([one for results in shown for one in results])
    lines = {}
    for one in groups:
        figures = one.figures()
        kept = np.concatenate([np.empty(0), *(r.score[r.kept] for r in one.results if not r.refused)])
        mean = float(kept.mean()) if len(kept) else float("nan")
        lines[one.task] = Transfer(figures["scenes"], figures["refused"], mean, figures["mean_px"], figures["p95_px"])
    return lines


def console_table(layout: Layout, tasks: Sequence[str], scores: Scores) -> Table:
    """One table for the terminal."""
    table = Table(title=layout.heading, title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("method")
    table.add_column("task")
    for heading in layout.conditions.values():
        table.add_column(heading, justify="right")
    for method in layout.methods:
        for task in tasks:
            cells = (scores.get((task, method, condition)) for condition in layout.conditions)
            words = ["-" if one is None or not sum(one.trials) else _words(one.rate, one.interval) for one in cells]
            table.add_row(method_named(method).title, TASKS.get(task, task), *words)
    return table


def _words(rate: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{rate_text(rate)} ({rate_text(low)}-{rate_text(high)})"


def main() -> None:
    """Command line."""
    arguments, console = parse(), make_console()
    folder = arguments.folder or runs_root() / "tables"
    workers = Workers(arguments.workers, arguments.ray)
    try:
        tasks = known_tasks(arguments.task)
        methods = chosen(arguments.method, known_methods(), "method")
        conditions = chosen(arguments.condition, known_conditions(), "condition")
        training_seeds = [int(part) for part in arguments.training_seed.split(",")]
        shown = layouts(methods, conditions)
        cells = plan(tasks, shown, training_seeds, arguments.robot)
        there, seeds, book = (
            [cell for cell in cells if trained(cell)],
            scenes(arguments.seed, arguments.n),
            Book(folder, models_folder() / RESULTS),
        )
        for name in sorted(
            {cell.request().checkpoint for cell in cells} - {cell.request().checkpoint for cell in there}
        ):
            console.print(f"[yellow]not trained[/] {name}")
        if arguments.run:
            run_missing(there, seeds, book, workers, console)
        jobs = transfer_jobs(tasks, arguments.robot, arguments.transfer, folder)
        jobs = [job for job in jobs if arguments.run or job.file.is_file()]
        transfer = measure_transfer(jobs, workers, console)
    except (KeypointError, ValueError) as error:
        sys.exit(str(error))
    leave(folder, arguments, shown, tasks, scores_of(there, seeds, book), transfer, console)


def leave(
    folder: Path,
    arguments: argparse.Namespace,
    shown: Sequence[Layout],
    tasks: Sequence[str],
    scores: Scores,
    transfer: dict[str, Transfer],
    console: Console,
) -> None:
    """Prints the tables and writes them as page, picture and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for layout in shown:
        console.print(console_table(layout, tasks, scores))
    words = (
        f"Unseen scenes, rendered frames, correspondence and tracker in the loop; {arguments.robot}, scenes from seed "
        f"{arguments.seed}. Intervals: Wilson, 95 %, over all training seeds ({arguments.training_seed}) that have a "
        "checkpoint. The paper: 100 trials x 3 training seeds."
    )
    models = models_folder()
    pictures = {
        TASKS.get(task, task): models / Cell(task, "atk", "rp", 0, arguments.robot).request().checkpoint
        for task in tasks
    }
    pictures = {name: path / SELECTION for name, path in pictures.items() if (path / SELECTION).is_file()}
    write_page(folder / "tables.html", words, shown, tasks, scores, transfer, pictures)
    write_figure(folder / "tables.png", words, shown, tasks, scores)
    write_csv(folder / "tables.csv", shown, tasks, scores)
    measured = [one for one in scores.values() if sum(one.trials)]
    trials, successes = (sum(sum(getattr(one, name)) for one in measured) for name in ("trials", "successes"))
    write_summary(
        folder,
        seed=arguments.seed,
        robot=arguments.robot,
        mode="in_process",
        trials=trials,
        successes=successes,
        cells={f"{one.task}/{one.method}/{one.condition}": [sum(one.successes), sum(one.trials)] for one in measured},
        transfer={task: vars(one) for task, one in transfer.items()},
    )
    for name in ("tables.html", "tables.png", "tables.csv"):
        console.print(f"  {folder / name}")


if __name__ == "__main__":
    main()
