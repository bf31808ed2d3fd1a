"""What a plan knows of GPUs, by Ray's names of them (``ray.util.accelerators``)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """One GPU.

    Attributes:
        memory_gib: its memory.
        bf16_tflop_per_s: peak of dense matrix products in bfloat16.
        float32_tflop_per_s: peak in float32.
        link_gb_per_s: to other GPUs of its machine, each way.
    """

    memory_gib: float
    bf16_tflop_per_s: float
    float32_tflop_per_s: float
    link_gb_per_s: float


# From NVIDIA's data sheets; rates without sparsity, links NVLink where there is one, else PCIe 4.
CHIPS = {
    "A10G": Chip(24, 70, 35, 32),
    "A100-40G": Chip(40, 312, 19.5, 300),
    "A100-80G": Chip(80, 312, 19.5, 300),
    "H100": Chip(80, 989, 67, 450),
    "H200": Chip(141, 989, 67, 450),
    "L4": Chip(24, 121, 30, 32),
    "L40S": Chip(48, 362, 91, 32),
}
GPUS_PER_MACHINE = 8
# Between machines, for each GPU, each way: 8 x 100 Gb/s cards.
MACHINE_LINK_GB_PER_S = 12.5
# Between a GPU and its host's memory, each way: PCIe 4 x16, as far as it goes in practice.
HOST_LINK_GB_PER_S = 25.0
# What the host's memory gives one GPU's share of the optimizer: 8 of them share some 400 GB/s.
HOST_MEMORY_GB_PER_S = 50.0
# Share of the peak that training transformers reaches with these kernels: 35 to 50 % is usual.
UTILISATION_FRACTION = 0.4
