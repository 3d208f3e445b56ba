"""A network as a converter wants to see it; importing it imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from twin_assets.processing.networks.torch_network import TorchNetwork


class _Traceable(torch.nn.Module):
    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        self.transformer = network.transformer
        self._network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self._network.forward(ids, mask)
        return rows


def traceable(network: TorchNetwork) -> torch.nn.Module:
    """Return a module from ids and mask to unit rows."""
    return _Traceable(network).eval()


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask (2, 24), the second row padded: the shape is an example, not a limit."""
    mask = torch.ones((2, 24), dtype=torch.int64)
    mask[1, 16:] = 0
    return torch.ones_like(mask) * mask, mask
