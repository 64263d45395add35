"""The colors of clusters, in pictures and on pages."""

PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
    "#9933FF", "#CC0033", "#99CC66", "#993366",
)  # fmt: skip
"""Okabe and Ito's colors but black and yellow, which dark and light paper swallow, and four more.
Any two differ by 15 in CIELAB at least with each kind of dichromacy (Machado et al., 2009), and all
have a contrast of 1.8 at least with white and of 2.9 with black."""

LEFT_OUT = "#8c8c8c"
"""Of what has no cluster."""
