# SPDX-License-Identifier: Apache-2.0
"""Writes the measured networks as ONNX files with random weights, for ONNX Runtime.

usage: onnx_models.py FOLDER [NETWORK...]

Three forms of each: `f32`; `qdq` (float operators between QuantizeLinear and DequantizeLinear); and
`qoperator` (QLinearConv and its relatives). Activations have 8 unsigned bits, weights 8 signed ones
with a scale per output channel. The image is bytes in the integer forms; logits are real-valued.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import architectures

FORMS = ("f32", "qdq", "qoperator")
STEP = np.float32(1 / 64)  # of every activation between two layers
IMAGE_STEP = np.float32(1 / 255)


class Writer:
    """The nodes and constants of one ONNX graph."""

    def __init__(self, form, network):
        self.form, self.network = form, network
        self.nodes, self.constants = [], []
        self.random = np.random.default_rng(1)
        self.constant("step", STEP)
        self.constant("image_step", IMAGE_STEP)
        self.constant("zero", np.uint8(0))
        self.constant("middle", np.uint8(128))

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op, inputs, output, domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    def weights(self, name, node, shape):
        """Names of weight, its scale per channel, its zero point, and the bias."""
        cout, fan_in = shape[0], int(np.prod(shape[1:]))
        real = self.random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        bias = self.random.uniform(-0.2, 0.4, cout).astype(np.float32)
        if self.form == "f32":
            return self.constant(f"{name}.w", real), self.constant(f"{name}.b", bias)
        scale = (np.abs(real).reshape(cout, -1).max(axis=1) / 127).astype(np.float32)
        codes = np.rint(real / scale.reshape(-1, *[1] * (len(shape) - 1))).astype(np.int8)
        step = IMAGE_STEP if node["inputs"][0] < 0 else STEP
        return (self.constant(f"{name}.w", codes), self.constant(f"{name}.s", scale),
                self.constant(f"{name}.z", np.zeros(cout, np.int8)),
                self.constant(f"{name}.b", np.rint(bias / (step * scale)).astype(np.int32)),
                self.constant(f"{name}.bs", step * scale),
                self.constant(f"{name}.bz", np.zeros(cout, np.int32)))

    def write(self):
        self.values = {-1: ("x", "image_step", "zero")}  # value, step, zero point of each node
        for i, node in enumerate(self.network.nodes):
            step, zero = "step", "zero" if node.get("relu", True) else "middle"
            if node["op"] in ("maxpool", "gap"):
                step, zero = self.values[node["inputs"][0]][1:]
            inputs = [self.values[j] for j in node["inputs"]]
            value = getattr(self, self.form)(f"n{i}", node, inputs, step, zero)
            self.values[i] = (value, step, zero)
        height, width, channels = self.network.image
        image = TensorProto.FLOAT if self.form == "f32" else TensorProto.UINT8
        used = {name for node in self.nodes for name in node.input}
        logits = self.node("Identity", [self.values[len(self.network.nodes) - 1][0]], "y")
        graph = helper.make_graph(
            self.nodes, self.network.name,
            [helper.make_tensor_value_info("x", image, ["N", channels, height, width])],
            [helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", "classes"])],
            [constant for constant in self.constants if constant.name in used])
        return helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", 15), helper.make_opsetid("com.microsoft", 1)])

    @staticmethod
    def window(node):
        return {"kernel_shape": [node["kernel"]] * 2, "strides": [node["stride"]] * 2,
                "pads": [node["padding"]] * 4}

    def real_operation(self, name, node, x, weight, bias):
        """The float operator of a node, with its ReLU."""
        if node["op"] == "conv":
            y = self.node("Conv", [x[0], weight, bias], name, group=node["groups"],
                          **self.window(node))
        elif node["op"] == "add":
            y = self.node("Add", x, name)
        elif node["op"] == "maxpool":
            y = self.node("MaxPool", x, name, **self.window(node))
        elif node["op"] == "gap":
            y = self.node("Flatten", [self.node("GlobalAveragePool", x, f"{name}.4d")], name)
        else:
            y = self.node("Gemm", [x[0], weight, bias], name, transB=1)
        return self.node("Relu", [y], f"{name}.relu") if node.get("relu") else y

    def shape(self, node):
        if node["op"] == "conv":
            return (node["cout"], node["cin"] // node["groups"], node["kernel"], node["kernel"])
        return (node["cout"], node["cin"])

    def f32(self, name, node, inputs, _step, _zero):
        weight = bias = None
        if node["op"] in ("conv", "linear"):
            weight, bias = self.weights(name, node, self.shape(node))
        return self.real_operation(name, node, [x[0] for x in inputs], weight, bias)

    def qdq(self, name, node, inputs, step, zero):
        weight = bias = None
        if node["op"] in ("conv", "linear"):
            w, s, z, b, bs, bz = self.weights(name, node, self.shape(node))
            weight = self.node("DequantizeLinear", [w, s, z], f"{name}.wr", axis=0)
            bias = self.node("DequantizeLinear", [b, bs, bz], f"{name}.br", axis=0)
        real = [self.node("DequantizeLinear", list(x), f"{name}.in{k}")
                for k, x in enumerate(inputs)]
        y = self.real_operation(name, node, real, weight, bias)
        if node["op"] == "linear":
            return y
        return self.node("QuantizeLinear", [y, step, zero], f"{name}.q")

    def qoperator(self, name, node, inputs, step, zero):
        x, x_step, x_zero = inputs[0]
        if node["op"] in ("conv", "linear"):
            w, s, z, b, _, _ = self.weights(name, node, self.shape(node))
        if node["op"] == "conv":
            return self.node("QLinearConv", [x, x_step, x_zero, w, s, z, step, zero, b], name,
                             group=node["groups"], **self.window(node))
        if node["op"] == "add":
            return self.node("QLinearAdd", [*inputs[0], *inputs[1], step, zero], name,
                             "com.microsoft")
        if node["op"] == "maxpool":
            return self.node("MaxPool", [x], name, **self.window(node))
        if node["op"] == "gap":
            pooled = self.node("QLinearGlobalAveragePool", [x, x_step, x_zero, x_step, x_zero],
                               f"{name}.4d", "com.microsoft", channels_last=0)
            return self.node("Flatten", [pooled], name)
        # Without an output scale the result is real-valued.
        return self.node("QGemm", [x, x_step, x_zero, w, s, z, b], name, "com.microsoft", transB=1)


def main(folder, names):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    networks = architectures.inference_networks()
    for name in names or networks:
        for form in FORMS:
            onnx.save(Writer(form, networks[name]).write(), str(folder / f"{name}.{form}.onnx"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: onnx_models.py FOLDER [NETWORK...]")
    main(sys.argv[1], sys.argv[2:])
