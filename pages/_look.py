"""The product's own mark, as inline SVG: nothing is fetched from anywhere."""

_LINK = (
    '<path d="M26 20h-6a12 12 0 0 0 0 24h6M38 20h6a12 12 0 0 1 0 24h-6M22 32h20" fill="none" stroke="{stroke}" '
    'stroke-width="6" stroke-linecap="round"/>'
)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="#1f4e79"/>'
    + _LINK.format(stroke="#ffffff")
    + "</svg>"
)

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 250 64" width="250" height="64">'
    '<rect width="64" height="64" rx="14" fill="#1f4e79"/>'
    + _LINK.format(stroke="#ffffff")
    + '<text x="80" y="42" font-family="sans-serif" font-size="30" font-weight="600" fill="#7a8594">Link Hub</text>'
    + "</svg>"
)
