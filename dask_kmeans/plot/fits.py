"""Pictures of what a fitted model knows: nothing is read for them."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from dask_kmeans.palette import PALETTE
from dask_kmeans.plot.canvas import axes, colors, ink, share_axis, whole_numbers

FEW, MANY = 12, 100
"""Clusters whose bars have room for the numbers of their rows, and for gaps between them."""


def convergence(model: Any, ax: Any = None) -> Any:
    """How a fit settled: the inertia, and the shares of rows that changed and were examined.

    Parameters
    ----------
    model : KMeans
        Fitted; it may come from `load_model`.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure. The shares get a second axis on its right.

    Returns
    -------
    matplotlib Axes
        `ax`. Its line is the inertia; those on the right are the shares, by iteration, of rows
        whose label changed and, where they are not all, of rows whose distances were computed and
        of bytes read.
    """
    check_is_fitted(model)
    history = model.history_
    iterations = [record.iteration for record in history]
    counted = history[0].changed or 1  # the first iteration gives each row that counts its label
    rows, most = history[0].examined or 1, max(record.bytes_read for record in history)
    ax = axes(ax)
    shares = share_axis(ax, min(1.0 / counted, 0.1))
    marker = "o" if len(history) <= 40 else ""
    lines = ax.plot(
        iterations, [record.inertia for record in history],
        color=PALETTE[0], marker=marker, markersize=4, label="inertia",
    )  # fmt: skip
    changed = [record.changed / counted for record in history]
    examined = [record.examined / rows for record in history]
    read = [record.bytes_read / most if most else 0.0 for record in history]
    for label, values, color, style in (
        ("rows that changed", changed, PALETTE[3], "-"),
        ("rows examined", examined, PALETTE[2], "--"),
        ("bytes read", read, PALETTE[5], ":"),
    ):
        if values is changed or min(values) < 1:
            lines += shares.plot(
                iterations, values, style, color=color, marker=marker, markersize=4, label=label
            )
    if model.tol > 0:
        lines.append(shares.axhline(model.tol, color=ink(), lw=0.8, ls=(0, (1, 2)), label="tol"))
    ax.set(xlabel="iteration", ylabel="inertia")
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_title("converged" if model.converged_ else "stopped at max_iter, not converged")
    whole_numbers(ax.xaxis)
    shares.set_ylabel("share")
    # Above the lines of both axes, of which the second one lies on top.
    shares.legend(handles=lines, fontsize="small", loc="upper right")
    return ax


def sizes(model: Any, ax: Any = None) -> Any:
    """How many rows each cluster has.

    Parameters
    ----------
    model : KMeans
        Fitted; it may come from `load_model`.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib Axes
        `ax`, with a bar for each cluster, in the colors of `clusters`.
    """
    check_is_fitted(model)
    counts = model.cluster_sizes_
    ax = axes(ax)
    width = 0.8 if len(counts) <= MANY else 1.0
    bars = ax.bar(range(len(counts)), counts, width, color=colors(len(counts)))
    if len(counts) <= FEW:
        ax.set_xticks(range(len(counts)))
        ax.bar_label(bars, [f"{count:,}" for count in counts], fontsize="small")
        ax.margins(y=0.12)
    else:
        whole_numbers(ax.xaxis)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlabel="cluster", ylabel="rows")
    ax.set_title(f"{counts.sum():,} rows in {len(counts)} cluster{'s' * (len(counts) > 1)}")
    return ax
