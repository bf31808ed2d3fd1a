"""GPU data for plans, by Ray's accelerator names (``ray.util.accelerators``)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """Specification of a GPU.

    Attributes:
        memory_gib: memory size.
        bf16_tflop_per_s: peak rate of dense matrix products in bfloat16.
        float32_tflop_per_s: peak rate in float32.
        link_gb_per_s: bandwidth to other GPUs of the machine, per direction.
    """

    memory_gib: float
    bf16_tflop_per_s: float
    float32_tflop_per_s: float
    link_gb_per_s: float


# From NVIDIA's data sheets; rates without sparsity; links are NVLink if available, or PCIe 4.
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
# Between machines, per GPU and direction: 8 x 100 Gb/s network cards.
MACHINE_LINK_GB_PER_S = 12.5
# Between a GPU and its host's memory, per direction: practical rate of PCIe 4 x16.
HOST_LINK_GB_PER_S = 25.0
# Host memory bandwidth for the optimizer of one GPU: 8 GPUs share about 400 GB/s.
HOST_MEMORY_GB_PER_S = 50.0
# Share of the peak rate in transformer training with these kernels; 35 to 50 % is usual.
UTILISATION_FRACTION = 0.4
