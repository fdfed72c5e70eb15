# SPDX-License-Identifier: Apache-2.0
"""The measured networks as plain lists of nodes, from which every peer builds its own form.

A node is a dictionary: `op` (conv, add, maxpool, gap, linear), `inputs` (indices of earlier nodes;
-1 is the image), and what the operation needs. `relu` says that ReLU follows.
"""
import dataclasses


@dataclasses.dataclass
class Network:
    """`image` is (height, width, channels); nodes are in order of execution."""
    name: str
    image: tuple
    nodes: list = dataclasses.field(default_factory=list)

    def add(self, op, *inputs, **attributes):
        self.nodes.append({"op": op, "inputs": list(inputs), **attributes})
        return len(self.nodes) - 1

    def conv(self, x, cin, cout, kernel, stride=1, groups=1, relu=True):
        return self.add("conv", x, cin=cin, cout=cout, kernel=kernel, stride=stride,
                        padding=kernel // 2, groups=groups, relu=relu)

    def basic_block(self, x, cin, cout, stride):
        """Two 3x3 convolutions and a shortcut: a 1x1 convolution where the shape changes."""
        body = self.conv(x, cin, cout, 3, stride)
        body = self.conv(body, cout, cout, 3, relu=False)
        if stride != 1 or cin != cout:
            x = self.conv(x, cin, cout, 1, stride, relu=False)
        return self.add("add", body, x, relu=True)

    def inverted_residual(self, x, cin, cout, stride, expansion):
        """1x1 up, depthwise 3x3, linear 1x1 down; a shortcut where the shape stays."""
        body, wide = x, cin * expansion
        if expansion != 1:
            body = self.conv(body, cin, wide, 1)
        body = self.conv(body, wide, wide, 3, stride, groups=wide)
        body = self.conv(body, wide, cout, 1, relu=False)
        return self.add("add", body, x, relu=False) if stride == 1 and cin == cout else body

    def head(self, x, features, classes):
        return self.add("linear", self.add("gap", x), cin=features, cout=classes)


def resnet20(image=32):
    net = Network(f"resnet20@{image}", (image, image, 3))
    x, cin = net.conv(-1, 3, 16, 3), 16
    for stage, cout in enumerate((16, 32, 64)):
        for block in range(3):
            x = net.basic_block(x, cin, cout, 2 if stage > 0 and block == 0 else 1)
            cin = cout
    net.head(x, 64, 10)
    return net


def resnet18(image=224, small_stem=False, classes=1000):
    """`small_stem`: a 3x3 convolution of stride 1 instead of 7x7, stride 2, and a pool."""
    net = Network(f"resnet18@{image}", (image, image, 3))
    if small_stem:
        x = net.conv(-1, 3, 64, 3)
    else:
        x = net.conv(-1, 3, 64, 7, 2)
        x = net.add("maxpool", x, kernel=3, stride=2, padding=1)
    cin = 64
    for stage, cout in enumerate((64, 128, 256, 512)):
        for block in range(2):
            x = net.basic_block(x, cin, cout, 2 if stage > 0 and block == 0 else 1)
            cin = cout
    net.head(x, 512, classes)
    return net


def mobilenet_v1(image=224, classes=1000):
    net = Network(f"mobilenet-v1@{image}", (image, image, 3))
    x, cin = net.conv(-1, 3, 32, 3, 2), 32
    for cout, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
                         (1024, 2), (1024, 1)):
        x = net.conv(x, cin, cin, 3, stride, groups=cin)
        x = net.conv(x, cin, cout, 1)
        cin = cout
    net.head(x, 1024, classes)
    return net


def mobilenet_v2(image=224, classes=1000, stem_stride=2):
    net = Network(f"mobilenet-v2@{image}", (image, image, 3))
    x, cin = net.conv(-1, 3, 32, 3, stem_stride), 32
    for expansion, cout, count, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                                           (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                                           (6, 320, 1, 1)):
        for block in range(count):
            x = net.inverted_residual(x, cin, cout, stride if block == 0 else 1, expansion)
            cin = cout
    net.head(net.conv(x, cin, 1280, 1), 1280, classes)
    return net


def inference_networks():
    """By name, as in "resnet20@32"."""
    built = (resnet20(), resnet18(), mobilenet_v1(), mobilenet_v2())
    return {network.name: network for network in built}


def training_networks():
    built = (resnet20(), resnet18(64, small_stem=True, classes=200), mobilenet_v2(64, 200, stem_stride=1))
    return {network.name: network for network in built}


def shapes_of(network):
    """(height, width, channels) of every node's value; the image is the last entry, index -1."""
    shapes = [None] * len(network.nodes) + [network.image]
    for i, node in enumerate(network.nodes):
        height, width, channels = shapes[node["inputs"][0]]
        if node["op"] in ("conv", "maxpool"):
            height, width = ((size + 2 * node["padding"] - node["kernel"]) // node["stride"] + 1
                             for size in (height, width))
        elif node["op"] in ("gap", "linear"):
            height = width = 1
        shapes[i] = (height, width, node.get("cout", channels))
    return shapes


def macs_of(network):
    """Multiply-accumulates of one image in convolutions and linear layers."""
    macs = 0
    for node, (height, width, channels) in zip(network.nodes, shapes_of(network)):
        if node["op"] == "conv":
            taps = node["kernel"] ** 2 * node["cin"] // node["groups"]
            macs += height * width * channels * taps
        elif node["op"] == "linear":
            macs += node["cin"] * node["cout"]
    return macs
