"""Pairs of runs and what they say together: medians, spreads, and the table that is printed."""

import statistics


class Pairs:
    """Runs of Tine and of something else, in turn, of the same work."""

    def __init__(self, work, other):
        self.work, self.other = work, other
        self.ours, self.theirs, self.ours_p99, self.theirs_p99 = [], [], [], []

    def add(self, ours, ours_p99, theirs, theirs_p99=None):
        self.ours.append(ours)
        self.theirs.append(theirs)
        self.ours_p99.append(ours_p99)
        if theirs_p99 is not None:
            self.theirs_p99.append(theirs_p99)

    def row(self):
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs)]
        middle = statistics.median
        return [
            self.work,
            self.other,
            f"{middle(self.ours):,.0f}",
            f"{middle(self.theirs):,.0f}",
            f"{middle(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{middle(self.ours_p99):.1f} ms",
            f"{middle(self.theirs_p99):.1f} ms" if self.theirs_p99 else "",
        ]


def table(head, rows):
    """A Markdown table, padded so that it can be read as it is."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    show = lambda line: "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([show(head), rule, *map(show, rows)])
