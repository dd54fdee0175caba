"""Areas on the ground: square metres for pixels and polygons of a raster, by its reference system.

projected        area in the plane, in metres
degrees          area on the ellipsoid: that of an equal-area projection, where meridians and parallels are straight
Mercator         the same, as its metres are not metres away from the equator
none             number of pixels
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

EQUAL_AREA = "+proj=cea +ellps=WGS84 +units=m"

Points = Float64[np.ndarray, "n 2"]
"""x and y."""


@dataclass(frozen=True)
class Ground:
    """The place of a raster on Earth."""

    crs: "CRS | None"
    transform: "Affine"
    unit: Literal["m2", "px"]
    is_curved: bool
    """Whether the plane of the reference system does not keep areas."""
    factor: float
    """Square metres of a unit of the plane."""

    def polygon_area(self, rings: list[Points]) -> float:
        """The area of a polygon in the reference system: its outer ring, and holes."""
        outer, *holes = (abs(self._ring_area(ring)) for ring in rings)
        return outer - sum(holes)

    def _ring_area(self, ring: Points) -> float:
        x, y = self._flat(ring).T
        x, y = x - x[0], y - y[0]  # large coordinates would cost digits
        area = float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2
        return area * self.factor

    def _flat(self, points: Points) -> Points:
        if not self.is_curved:
            return points
        from rasterio.warp import transform

        return np.array(transform(self.crs, EQUAL_AREA, *points.T.tolist())).T

    def row_areas(self, size: tuple[int, int]) -> Float64[np.ndarray, " H"]:
        """The area of a pixel in each row, in the middle column."""
        rows, middle = np.arange(size[0] + 1.0), size[1] / 2
        one, other = (
            self._flat(_on_plane(self.transform, np.full_like(rows, x), rows)) for x in (middle - 0.5, middle + 0.5)
        )
        (x, y), (u, v) = (other[1:] - one[:-1]).T, (one[1:] - other[:-1]).T  # the diagonals of each pixel
        return np.abs(x * v - y * u) / 2 * self.factor


def _on_plane(transform: "Affine", x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]) -> Points:
    across, down = transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f
    return np.stack([across, down], axis=1)


def ground_of(dataset: "DatasetReader") -> Ground:
    """The place of a raster; in pixels, if it has no reference system."""
    from rasterio.transform import Affine

    crs = dataset.crs
    if crs is None:
        return Ground(None, Affine.identity(), "px", is_curved=False, factor=1.0)
    is_curved = crs.is_geographic or 'PROJECTION["Mercator' in crs.to_wkt() or crs.to_epsg() in (3857, 3395)
    factor = 1.0 if is_curved else float(crs.linear_units_factor[1]) ** 2
    return Ground(crs, dataset.transform, "m2", is_curved, factor)
