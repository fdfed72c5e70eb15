#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classifies one image under every plan of a model file, through the C interface.

usage: classify.py LIBRARY MODEL [IMAGE]
LIBRARY is the path of libbitdial_c.so; IMAGE: raw bytes, height x width x channels; without: zeros.
"""
import ctypes
import pathlib
import sys


class Bitdial:
    """The functions of the C interface; a failure is a RuntimeError with its sentence."""

    def __init__(self, library):
        self._c = ctypes.CDLL(library)
        self._c.bitdial_model_outputs.restype = ctypes.c_size_t
        self._c.bitdial_model_plans.restype = ctypes.c_size_t
        self._c.bitdial_model_plan_accuracy.restype = ctypes.c_double
        for name in ("version", "last_error", "model_label", "model_plan_name"):
            getattr(self._c, f"bitdial_{name}").restype = ctypes.c_char_p

    def check(self, result):
        if result != 0:
            raise RuntimeError(self._c.bitdial_last_error().decode())

    def open(self, path):
        return Model(self, path)


class Model:
    def __init__(self, bitdial, path):
        self._b, self._c = bitdial, bitdial._c
        self._model, self._session = ctypes.c_void_p(), ctypes.c_void_p()
        self._b.check(self._c.bitdial_model_open(str(path).encode(), ctypes.byref(self._model)))
        self._b.check(self._c.bitdial_session_create(self._model, 1, ctypes.c_size_t(1),
                                                     ctypes.byref(self._session)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._c.bitdial_session_close(self._session)
        self._c.bitdial_model_close(self._model)

    @property
    def shape(self):
        shape = (ctypes.c_size_t * 3)()
        self._c.bitdial_model_input(self._model, shape)
        return tuple(shape)

    @property
    def plans(self):
        count = self._c.bitdial_model_plans(self._model)
        return [self._c.bitdial_model_plan_name(self._model, ctypes.c_size_t(i)).decode()
                for i in range(count)]

    def accuracy(self, plan):
        return self._c.bitdial_model_plan_accuracy(self._model, ctypes.c_size_t(plan))

    def label(self, index):
        label = self._c.bitdial_model_label(self._model, ctypes.c_size_t(index))
        return label.decode() if label is not None else ""

    def run(self, image, plan_name):
        height, width, channels = self.shape
        if len(image) != height * width * channels:
            raise RuntimeError(f"{len(image)} bytes, one image has {height * width * channels}")
        plan = ctypes.c_size_t()
        self._b.check(self._c.bitdial_model_find_plan(self._model, plan_name.encode(),
                                                      ctypes.byref(plan)))
        outputs = (ctypes.c_float * self._c.bitdial_model_outputs(self._model))()
        self._b.check(self._c.bitdial_session_run(self._session, plan, bytes(image),
                                                  ctypes.c_size_t(1), outputs))
        return list(outputs)


def main(library, path, image_path=None):
    with Bitdial(library).open(path) as model:
        height, width, channels = model.shape
        image = (pathlib.Path(image_path).read_bytes() if image_path
                 else bytes(height * width * channels))
        print(f"{'plan':<10} {'accuracy':>8}  answer")
        for index, plan in enumerate(model.plans):
            outputs = model.run(image, plan)
            answer = max(range(len(outputs)), key=outputs.__getitem__)
            accuracy = model.accuracy(index)
            share = f"{100 * accuracy:7.2f}%" if accuracy >= 0 else f"{'-':>8}"
            print(f"{plan:<10} {share}  {answer} {model.label(answer)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
