"""A small network on the raw waveform, made from a seed: as large as a detector that somebody would ship instead.

Convolutions with strides over 4 s at 16 kHz, then a mean and one logistic unit; 32-bit weights. It has learnt nothing
and is never asked what it hears: only its bytes and its arithmetic count.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEGMENT = 64_000
# (channels, kernel, stride) of each layer: 107 k weights, about 0.1 G multiplications for each segment.
LAYERS = ((64, 64, 16), (64, 9, 4), (64, 9, 4), (64, 5, 2), (96, 3, 2))
OPSET = 17
IR_VERSION = 8


def onnx_model(seed: int = 1) -> bytes:
    """Return the model: `wave` of shape (1, 1, 64000) in, `score` of shape (1, 1) out."""
    rng = np.random.default_rng(seed)
    nodes, weights, value, n_in = [], [], "wave", 1

    def keep(name: str, *shape: int) -> str:
        scale = np.sqrt(2.0 / max(1, np.prod(shape[1:])))
        array = (scale * rng.normal(size=shape)).astype(np.float32)
        weights.append(numpy_helper.from_array(array, name))
        return name

    for layer, (n_out, kernel, stride) in enumerate(LAYERS):
        parts = [value, keep(f"w{layer}", n_out, n_in, kernel), keep(f"b{layer}", n_out)]
        nodes.append(helper.make_node("Conv", parts, [f"c{layer}"], strides=[stride], kernel_shape=[kernel]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        value, n_in = f"r{layer}", n_out
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", keep("w", n_in, 1), keep("b", 1)], ["logit"]))
    nodes.append(helper.make_node("Sigmoid", ["logit"], ["score"]))
    wave = helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, 1, SEGMENT])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "rival", [wave], [score], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
