#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classifies one image under every plan of a model file, through the C interface.

usage: classify.py LIBRARY MODEL [IMAGE]
LIBRARY is the path of libbitdial_c.so; IMAGE: raw bytes, height x width x channels; without: zeros.
"""
import ctypes
import pathlib
import sys

FUNCTIONS = {  # name: (result, arguments)
    "version": (ctypes.c_char_p, []),
    "last_error": (ctypes.c_char_p, []),
    "model_open": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_void_p]),
    "model_from_memory": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]),
    "model_close": (None, [ctypes.c_void_p]),
    "model_input": (None, [ctypes.c_void_p, ctypes.c_void_p]),
    "model_channels": (ctypes.c_char_p, [ctypes.c_void_p]),
    "model_centre": (ctypes.c_float, [ctypes.c_void_p]),
    "model_outputs": (ctypes.c_size_t, [ctypes.c_void_p]),
    "model_label": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_plans": (ctypes.c_size_t, [ctypes.c_void_p]),
    "model_plan_name": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_plan_accuracy": (ctypes.c_double, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_plan_samples": (ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_plan_data_set": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_plan_bytes": (ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_size_t]),
    "model_find_plan": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]),
    "session_memory": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
    "session_create": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
    "session_close": (None, [ctypes.c_void_p]),
    "session_run": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p,
                                   ctypes.c_size_t, ctypes.c_void_p]),
    "session_classify": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p,
                                        ctypes.c_size_t, ctypes.c_void_p]),
}


class SessionOptions(ctypes.Structure):
    """bitdial_session_options; what is left out is a default."""

    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_int),
                ("max_batch", ctypes.c_size_t), ("plans", ctypes.POINTER(ctypes.c_size_t)),
                ("plan_count", ctypes.c_size_t), ("arena", ctypes.c_void_p),
                ("arena_size", ctypes.c_size_t)]

    def __init__(self, **options):
        super().__init__(**{"struct_size": ctypes.sizeof(type(self)), **options})


class Library:
    """The functions of the C interface; a failure is a RuntimeError with its sentence."""

    def __init__(self, path):
        library = ctypes.CDLL(path)
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, f"bitdial_{name}")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def check(self, result):
        if result != 0:
            raise RuntimeError(self.last_error().decode())


class Model:
    """A model file and a session with all of its plans."""

    def __init__(self, library, source, **options):
        """`source` is a path, or the bytes of a model file; `options` are `SessionOptions`."""
        self._c = library
        self._options = SessionOptions(**options)
        self._model, self._session = ctypes.c_void_p(), ctypes.c_void_p()
        if isinstance(source, bytes):
            self._bytes = source  # must live as long as the model
            library.check(library.model_from_memory(source, len(source),
                                                    ctypes.byref(self._model)))
        else:
            library.check(library.model_open(str(source).encode(), ctypes.byref(self._model)))
        library.check(library.session_create(self._model, ctypes.byref(self._options),
                                             ctypes.byref(self._session)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._c.session_close(self._session)
        self._c.model_close(self._model)

    @property
    def shape(self):
        shape = (ctypes.c_size_t * 3)()
        self._c.model_input(self._model, shape)
        return tuple(shape)

    @property
    def plans(self):
        return [self._c.model_plan_name(self._model, plan).decode()
                for plan in range(self._c.model_plans(self._model))]

    @property
    def memory(self):
        """Bytes of the session."""
        size = ctypes.c_size_t()
        self._c.check(self._c.session_memory(self._model, ctypes.byref(self._options),
                                             ctypes.byref(size)))
        return size.value

    def accuracy(self, plan):
        """The share of right answers, the number of images and their data set; or None."""
        data_set = self._c.model_plan_data_set(self._model, plan)
        if data_set is None:
            return None
        return (self._c.model_plan_accuracy(self._model, plan),
                self._c.model_plan_samples(self._model, plan), data_set.decode())

    def label(self, index):
        label = self._c.model_label(self._model, index)
        return label.decode() if label is not None else ""

    def run(self, image, plan_name):
        """The outputs for one image at one precision."""
        height, width, channels = self.shape
        if len(image) != height * width * channels:
            raise RuntimeError(f"{len(image)} bytes, one image has {height * width * channels}")
        plan = ctypes.c_size_t()
        self._c.check(self._c.model_find_plan(self._model, plan_name.encode(),
                                              ctypes.byref(plan)))
        outputs = (ctypes.c_float * self._c.model_outputs(self._model))()
        self._c.check(self._c.session_run(self._session, plan, bytes(image), 1, outputs))
        return list(outputs)


def main(library, path, image_path=None):
    with Model(Library(library), path) as model:
        height, width, channels = model.shape
        image = (pathlib.Path(image_path).read_bytes() if image_path
                 else bytes(height * width * channels))
        print(f"{'plan':<10} {'accuracy':>8}  answer")
        for index, plan in enumerate(model.plans):
            outputs = model.run(image, plan)
            answer = max(range(len(outputs)), key=outputs.__getitem__)
            accuracy = model.accuracy(index)
            share = f"{100 * accuracy[0]:7.2f}%" if accuracy else f"{'-':>8}"
            print(f"{plan:<10} {share}  {answer} {model.label(answer)}")
        if model.accuracy(0):
            _, samples, data_set = model.accuracy(0)
            print(f"accuracy on {samples} images of {data_set}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: classify.py LIBRARY MODEL [IMAGE]")
    try:
        main(*sys.argv[1:])
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
