"""The course of a run as charts in Mermaid's words, which Markdown viewers draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from test.scale.program import Program, Sample

POINTS = 40  # of a line; more cannot be told apart


def charts(programs: Sequence[Program], marks: Mapping[str, float]) -> str:
    """Processor time and memory of each program, and when the stages were over."""
    end = max(sample.at for program in programs for sample in program.samples)
    stages = "\n".join(f"- {at:.0f} s: {what}" for what, at in marks.items())
    drawn = [
        _chart("Cores in use", "cores", programs, end, _cores),
        _chart("Resident memory", "MiB", programs, end, _mebibytes),
    ]
    return "\n".join([stages, "", *drawn])


def _chart(
    title: str,
    unit: str,
    programs: Sequence[Program],
    end: float,
    value: Callable[[Sequence[Sample], float, float], float],
) -> str:
    step = end / POINTS
    lines = []
    for program in programs:
        points = [value(program.samples, n * step, (n + 1) * step) for n in range(POINTS)]
        lines.append(f'  line "{program.name}" [{", ".join(f"{p:.3g}" for p in points)}]')
    names = ", ".join(program.name for program in programs)
    return "\n".join(
        [
            f"{title}; the lines in this order: {names}.",
            "",
            "```mermaid",
            "xychart-beta",
            f'  x-axis "seconds" 0 --> {end:.0f}',
            f'  y-axis "{unit}"',
            *lines,
            "```",
            "",
        ]
    )


def _cores(samples: Sequence[Sample], begin: float, end: float) -> float:
    """Between two moments; 0 where it did not run."""
    before = [each for each in samples if each.at <= begin] or samples[:1]
    until = [each for each in samples if each.at <= end] or samples[:1]
    first, last = before[-1], until[-1]
    return (last.cpu - first.cpu) / (last.at - first.at) if last.at > first.at else 0.0


def _mebibytes(samples: Sequence[Sample], begin: float, end: float) -> float:
    """The most between two moments; 0 where it did not run."""
    within = [each.memory for each in samples if begin <= each.at <= end]
    return max(within, default=0) / 2**20
