"""Which noise goes with which image of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import MissingExtra


def coupled(image: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
    """The rows of `noise` (B, ...) in the order that lies nearest to the images, within each class.

    Straighter paths need fewer steps. Across classes the pairing would tell the network of the class by its noise.
    Source: Tong et al. 2024, arXiv 2302.00482, section 3.2. Raises MissingExtra without SciPy.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtra("coupling=optimal needs SciPy; install it with: pip install 'limner[transport]'") from None

    classes = torch.zeros(len(image)) if label is None else label
    order = torch.arange(len(image))
    for value in classes.unique():
        rows = (classes == value).nonzero().flatten().cpu()
        cost = torch.cdist(image[rows].flatten(1), noise[rows].flatten(1)).square()
        order[rows] = rows[torch.from_numpy(linear_sum_assignment(cost.cpu().numpy())[1])]
    return noise[order.to(noise.device)]
