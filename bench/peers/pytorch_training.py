# SPDX-License-Identifier: Apache-2.0
"""Training steps in PyTorch, written from the definition: one JSON object per line on stdout.

usage: pytorch_training.py [--network NAME]... [--step NAME]... [--precision f32|bf16]...
                           [--threads N]... [--batch N]... [--seconds S]

Steps: `plain` (f32), `dorefa-w4a4` (DoReFa fake quantization, 1606.06160), `joint` (one update from
the switches 32, 8, 4, 2, 1 with batch normalisation of their own, distilled from the first). First
and last layer are real-valued, as in the DoReFa paper. PyTorch at its best: channels_last, fused
functions where it has them, and an allocator that keeps its memory. Every case runs in a process of
its own, which gives its peak memory a meaning. Without --precision bf16 is left out where PyTorch
has only portable code for it, which takes minutes for a step.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import architectures

STEPS = {"plain": (32,), "dorefa-w4a4": (4,), "joint": (32, 8, 4, 2, 1)}
PRECISIONS = ("f32", "bf16")
# Instruction sets with more than portable code for bf16, as Linux names them.
BF16_FLAGS = {"avx512bw", "avx_ne_convert", "bf16"}
# Without these the allocator returns pages after every step and takes them back in the next.
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000",
             "MALLOC_TOP_PAD_": "268435456"}


def network_of(name, torch, bits):
    """The network as a module that takes the number of bits with the images."""
    nn, functional = torch.nn, torch.nn.functional

    class Round(torch.autograd.Function):
        """Rounding of 0..1 to multiples of 1 / levels with the straight-through gradient."""
        @staticmethod
        def forward(_ctx, x, levels):
            return (x * levels).round_().div_(levels)

        @staticmethod
        def backward(_ctx, gradient):
            return gradient, None

    class ClampAndRound(torch.autograd.Function):
        """The same after clamping to 0..1; outside the gradient is 0."""
        @staticmethod
        def forward(ctx, x, levels):
            ctx.save_for_backward(x)
            return x.clamp(0, 1).mul_(levels).round_().div_(levels)

        @staticmethod
        def backward(ctx, gradient):
            x, = ctx.saved_tensors
            return gradient * ((x >= 0) & (x <= 1)), None

    class Sign(torch.autograd.Function):
        """sign(w) times the mean magnitude, straight through."""
        @staticmethod
        def forward(_ctx, w):
            return torch.where(w >= 0, w.new_ones(()), -w.new_ones(())) * w.abs().mean()

        @staticmethod
        def backward(_ctx, gradient):
            return gradient

    def quantized_weight(w, k):
        if k == 32:
            return w
        if k == 1:
            return Sign.apply(w)
        t = torch.tanh(w)
        unit = t / (2 * t.abs().max()) + 0.5
        return 2 * Round.apply(unit, 2 ** k - 1) - 1

    def quantized_activation(x, k):
        return x if k == 32 else ClampAndRound.apply(x, 2 ** k - 1)

    class Network(nn.Module):
        def __init__(self, description):
            super().__init__()
            self.nodes = description.nodes
            self.layers = nn.ModuleDict()
            self.norms = nn.ModuleDict()
            for i, node in enumerate(self.nodes):
                if node["op"] == "conv":
                    layer = nn.Conv2d(node["cin"], node["cout"], node["kernel"], node["stride"],
                                      node["padding"], groups=node["groups"], bias=False)
                    self.norms[str(i)] = nn.ModuleDict(
                        {str(k): nn.BatchNorm2d(node["cout"]) for k in bits})
                elif node["op"] == "linear":
                    layer = nn.Linear(node["cin"], node["cout"])
                else:
                    continue
                nn.init.kaiming_normal_(layer.weight)
                self.layers[str(i)] = layer

        def conv(self, i, node, x, k):
            layer = self.layers[str(i)]
            if node["inputs"][0] < 0:  # the first one sees the image
                y = layer(x)
            else:
                y = functional.conv2d(quantized_activation(x, k), quantized_weight(layer.weight, k),
                                      None, node["stride"], node["padding"], 1, node["groups"])
            return self.norms[str(i)][str(k)](y)

        def forward(self, image, k):
            values = [None] * len(self.nodes) + [image]
            for i, node in enumerate(self.nodes):
                x = values[node["inputs"][0]]
                if node["op"] == "conv":
                    y = self.conv(i, node, x, k)
                elif node["op"] == "add":
                    y = x + values[node["inputs"][1]]
                elif node["op"] == "maxpool":
                    y = functional.max_pool2d(x, node["kernel"], node["stride"], node["padding"])
                elif node["op"] == "gap":
                    y = functional.adaptive_avg_pool2d(x, 1).flatten(1)
                else:
                    y = self.layers[str(i)](x)
                # In place: batch normalisation keeps its input, not its output.
                values[i] = functional.relu_(y) if node.get("relu") else y
                for j in node["inputs"]:  # a value without further readers may go
                    if not any(j in later["inputs"] for later in self.nodes[i + 1:]):
                        values[j] = None
            return values[len(self.nodes) - 1]

    return Network(architectures.training_networks()[name])


def other_cores():
    """A function that tells the cores that other programs kept busy since now."""
    def now():
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(field) for field in file.readline().split()[1:8]]
        busy = sum(ticks[:3] + ticks[5:]) / os.sysconf("SC_CLK_TCK")
        return busy - time.process_time(), time.perf_counter()
    start = now()

    def cores():
        end = now()
        return (end[0] - start[0]) / (end[1] - start[1])
    return cores


def measure(name, step, precision, threads, batch, seconds):
    """Samples of images per second, and whether other programs disturbed them."""
    import torch
    functional = torch.nn.functional
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    bits = STEPS[step]
    description = architectures.training_networks()[name]
    net = network_of(name, torch, bits).to(memory_format=torch.channels_last)
    height, width, channels = description.image
    images = torch.rand(batch, channels, height, width).contiguous(
        memory_format=torch.channels_last)
    labels = torch.randint(0, description.nodes[-1]["cout"], (batch,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4,
                                foreach=True)

    def one_step():
        optimizer.zero_grad(set_to_none=True)
        teacher = None
        for k in bits:
            with torch.cpu.amp.autocast(enabled=precision == "bf16", dtype=torch.bfloat16):
                logits = net(images, k)
            logits = logits.float()
            loss = functional.cross_entropy(logits, labels)
            if teacher is None:
                teacher = functional.softmax(logits.detach(), dim=1)
            else:
                loss = loss + functional.kl_div(functional.log_softmax(logits, dim=1), teacher,
                                                reduction="batchmean")
            loss.backward()
        optimizer.step()

    one_step()
    begin = time.perf_counter()
    one_step()
    steps = max(3, int(seconds / (time.perf_counter() - begin)))
    rates, dropped, busy = [], 0, False
    while len(rates) < steps:
        others, begin = other_cores(), time.perf_counter()
        one_step()
        rate = batch / (time.perf_counter() - begin)
        # As in bystanders.hpp: a disturbed step counts only if there are too many of them.
        disturbed = others() > 0.1
        if disturbed and dropped < steps:
            dropped += 1
            continue
        busy = busy or disturbed
        rates.append(rate)
    return rates, busy


def print_records(name, step, precision, threads, batch, rates, busy):
    record = {"kind": "peer", "name": f"{name}/{step}/pytorch", "precision": precision,
              "threads": threads, "batch": batch, "value": statistics.median(rates),
              "unit": "images/s", "peak_share": None}
    quartiles = statistics.quantiles(rates, n=4, method="inclusive")
    record["spread"] = (quartiles[2] - quartiles[0]) / record["value"]
    if busy:
        record["note"] = "other programs were running"
    print(json.dumps(record))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**record, "name": record["name"] + "/peak-memory", "value": mib,
                      "unit": "MiB", "spread": 0}))


def has_fast_bf16():
    """Whether the processor has an instruction set for which bf16 is not portable code."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return any(not BF16_FLAGS.isdisjoint(line.split()) for line in file
                       if line.lower().startswith(("flags", "features")))
    except OSError:
        return True


def print_absent(name, note):
    """A line in the report instead of numbers."""
    print(json.dumps({"kind": "peer", "name": name, "precision": "", "threads": 1, "batch": 1,
                      "value": None, "unit": "", "spread": 0, "peak_share": None, "note": note}),
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    networks = architectures.training_networks()
    parser.add_argument("--network", action="append", choices=list(networks))
    parser.add_argument("--step", action="append", choices=list(STEPS))
    parser.add_argument("--precision", action="append", choices=PRECISIONS)
    parser.add_argument("--threads", action="append", type=int)
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    precisions = given.precision or PRECISIONS
    if not given.precision and not has_fast_bf16():
        precisions = ("f32",)
        print_absent("pytorch-bf16", "not measured: portable code on this processor")
    for name in given.network or networks:
        for step in given.step or STEPS:
            for batch in given.batch or [128 if networks[name].image[0] <= 32 else 64]:
                for precision in precisions:
                    for threads in given.threads or [1, 2]:
                        case = (name, step, precision, threads, batch)
                        if given.here:
                            print_records(*case, *measure(*case, given.seconds))
                            continue
                        subprocess.run(
                            [sys.executable, "-B", __file__, "--here", "--network", name, "--step",
                             step, "--precision", precision, "--threads", str(threads), "--batch",
                             str(batch), "--seconds", str(given.seconds)],
                            check=True, env={**os.environ, **ALLOCATOR})


if __name__ == "__main__":
    main()
