"""Calls of TensorFlow's functions, as tf.keras models make them.

Tensors by their names here: ``x`` images (None, 6, 5, 4), ``q`` images of three channels from 0 to 1, ``s`` sequences
(None, 7, 4), ``p`` the same from 0 to 1, ``m`` matrices (None, 4, 4), ``d`` positive definite ones, ``i`` integers
(None, 7) from 0 to 3, ``b`` booleans (None, 7, 4), ``c`` complex sequences (None, 7, 4).
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

Tensors = SimpleNamespace
Call = Callable[[Any, Tensors], Any]
KERNEL = np.random.default_rng(3).normal(size=(3, 2, 4, 4)).astype("f")
SQUARE = np.random.default_rng(4).normal(size=(4, 4)).astype("f")
ROW = np.array([0.5, -1.5, 2.0, 0.25], "f")


def _each(names: str, call: Call) -> dict[str, Call]:
    return dict.fromkeys(names.split(), call)


def _below(namespace: str, names: str, call: Call) -> dict[str, Call]:
    return {f"{namespace}.{name}": call for name in names.split()}


CALLS: Mapping[str, Call] = {
    # elementwise
    **_below(
        "math",
        "abs asinh atan ceil cos cosh erf erfc exp expm1 floor log_sigmoid negative rint round sigmoid sign sin sinh"
        " softplus softsign square tan tanh is_nan is_inf is_finite softmax log_softmax",
        lambda f, t: f(t.s),
    ),
    **_below("math", "acos asin atanh log log1p reciprocal rsqrt sqrt reciprocal_no_nan erfinv lgamma digamma ndtri",
             lambda f, t: f(t.p)),
    **_below("math", "acosh", lambda f, t: f(t.p + 1.5)),
    **_below("math", "bessel_i0 bessel_i0e bessel_i1 bessel_i1e", lambda f, t: f(t.p)),
    **_below(
        "math",
        "add subtract multiply divide truediv maximum minimum squared_difference equal not_equal less less_equal"
        " greater greater_equal atan2 multiply_no_nan divide_no_nan",
        lambda f, t: f(t.s, t.p),
    ),
    **_below("math", "floordiv floormod mod pow xlogy xlog1py xdivy", lambda f, t: f(t.p, t.p + 0.5)),
    **_below("math", "logical_and logical_or logical_xor", lambda f, t: f(t.b, t.b)),
    **_below("math", "logical_not", lambda f, t: f(t.b)),
    **_below("math", "add_n accumulate_n", lambda f, t: f([t.s, t.p, t.s])),
    **_below("math", "scalar_mul", lambda f, t: f(0.5, t.s)),
    **_below("math", "polyval", lambda f, t: f([t.s, t.p, t.s], t.p)),
    **_below("math", "igamma igammac", lambda f, t: f(t.p + 0.5, t.p)),
    **_below("math", "real imag angle conj", lambda f, t: f(t.c)),
    # reductions
    **_below("math", "reduce_sum reduce_mean reduce_max reduce_min reduce_prod reduce_std reduce_variance"
             " reduce_euclidean_norm reduce_logsumexp", lambda f, t: f(t.s, axis=[1], keepdims=True)),
    **_below("math", "reduce_all reduce_any count_nonzero", lambda f, t: f(t.b, axis=-1)),
    **_below("math", "argmax argmin cumsum cumulative_logsumexp", lambda f, t: f(t.s, axis=1)),
    **_below("math", "cumprod", lambda f, t: f(t.s, axis=1, exclusive=True, reverse=True)),
    **_below("math", "l2_normalize", lambda f, t: f(t.s, axis=-1, epsilon=1e-6)),
    **_below("math", "top_k", lambda f, t: f(t.s, k=2)),
    **_below("math", "in_top_k", lambda f, t: f(t.i[:, 0], t.s[:, 0], k=2)),
    **_below("math", "zero_fraction", lambda f, t: f(t.s)),
    **_below("math", "segment_sum unsorted_segment_sum", lambda f, t: _segments(f, t)),
    **_below("math", "bincount", lambda f, t: f(t.i, minlength=4, maxlength=4, axis=-1)),
    **_below("math", "confusion_matrix", lambda f, t: f(t.i[:, 0], t.i[:, 1], num_classes=4)),
    # shapes
    **_each("identity stop_gradient zeros_like ones_like", lambda f, t: f(t.s)),
    **_each("shape compat.v1.shape", lambda f, t: f(t.x)),
    **_each("rank size", lambda f, t: f(t.x)),
    **_each("reshape", lambda f, t: f(t.x, [-1, 5, 24])),
    **_each("transpose compat.v1.transpose", lambda f, t: f(t.x, perm=[0, 3, 1, 2])),
    **_each("expand_dims compat.v1.expand_dims", lambda f, t: f(t.s, axis=2)),
    **_each("squeeze compat.v1.squeeze", lambda f, t: f(t.s[:, :1], axis=[1])),
    **_each("concat", lambda f, t: f([t.s, t.p, t.s], axis=-1)),
    **_each("stack", lambda f, t: f([t.s, t.p], axis=1)),
    **_each("unstack", lambda f, t: f(t.s, axis=2)),
    **_each("split compat.v1.split", lambda f, t: f(t.s, [1, 3], axis=-1)),
    **_each("slice", lambda f, t: f(t.s, [0, 1, 2], [-1, 3, 2])),
    **_each("strided_slice", lambda f, t: f(t.s, [0, 1, 0], [0, 7, 4], [1, 2, 1], begin_mask=1, end_mask=1)),
    **_each("tile", lambda f, t: f(t.s, [1, 2, 3])),
    **_each("repeat", lambda f, t: f(t.s, 3, axis=1)),
    **_each("reverse", lambda f, t: f(t.s, axis=[1])),
    **_each("roll", lambda f, t: f(t.s, shift=[2, -1], axis=[1, 2])),
    **_each("pad compat.v1.pad", lambda f, t: f(t.s, [[0, 0], [1, 2], [0, 1]], "REFLECT")),
    **_each("broadcast_to", lambda f, t: f(t.s[:1, :1], [3, 7, 4])),
    **_each("gather", lambda f, t: f(t.s, [3, 0, 2, 2], axis=1)),
    **_each("compat.v1.gather", lambda f, t: f(t.s, t.i, axis=1, batch_dims=1)),
    **_each("gather_nd", lambda f, t: f(t.s, t.i[:, :, None], batch_dims=1)),
    **_each("boolean_mask", lambda f, t: f(t.s, np.array([1, 0, 1, 1, 0, 0, 1], bool), axis=1)),
    **_each("where compat.v1.where", lambda f, t: f(t.b, t.s, t.p)),
    **_each("one_hot", lambda f, t: f(t.i, 4, on_value=0.9, off_value=0.1, dtype="float32")),
    **_each("sequence_mask", lambda f, t: f(t.i, maxlen=4, dtype="float32")),
    **_each("range", lambda f, t: f(t.i[0, 0] + 3)),
    **_each("fill", lambda f, t: f(t.i[0, :2] + 1, 0.5)),
    **_each("zeros ones", lambda f, t: f(t.i[0, :2] + 1)),
    **_each("eye linalg.eye", lambda f, t: f(t.i[0, 0] + 2)),
    **_each("linspace", lambda f, t: f(t.s[0, 0, 0], t.p[0, 0, 0] + 3.0, 5)),
    **_each("sort argsort", lambda f, t: f(t.s, axis=1, direction="DESCENDING")),
    **_each("searchsorted", lambda f, t: f(np.array([-1.0, 0.0, 1.0], "f"), t.s[:, 0, 0])),
    **_each("scatter_nd", lambda f, t: f([[1], [3]], t.s[0, :2], [5, 4])),
    **_each("tensor_scatter_nd_update tensor_scatter_nd_add", lambda f, t: f(t.m[0], [[1], [3]], t.s[0, :2])),
    **_each("space_to_batch batch_to_space", lambda f, t: _space(f, t)),
    **_each("reverse_sequence", lambda f, t: f(t.s, t.i[:, 0] + 1, seq_axis=1)),
    **_each("clip_by_value", lambda f, t: f(t.s, -0.5, clip_value_max=0.75)),
    **_each("clip_by_norm", lambda f, t: f(t.s, 0.7, axes=[-1])),
    **_each("cast dtypes.cast", lambda f, t: f(t.i, "float32")),
    **_each("saturate_cast", lambda f, t: f(t.s * 300.0, "uint8")),
    **_each("complex", lambda f, t: f(t.s, t.p)),
    **_each("ensure_shape", lambda f, t: f(t.s, [None, 7, 4])),
    **_each("convert_to_tensor", lambda f, t: f(t.s)),
    **_each("histogram_fixed_width", lambda f, t: f(t.s, [-2.0, 2.0], nbins=5)),
    **_each("__operators__.add", lambda f, t: t.s + t.p),
    **_each("__operators__.getitem", lambda f, t: t.s[..., 1:, None, ::2]),
    **_below("bitwise", "bitwise_and bitwise_or bitwise_xor left_shift right_shift", lambda f, t: f(t.i, t.i)),
    **_below("bitwise", "invert", lambda f, t: f(t.i)),
    # networks
    **_below("nn", "relu relu6 elu selu silu swish softplus softsign tanh sigmoid softmax log_softmax leaky_relu crelu"
             " l2_loss", lambda f, t: f(t.s)),
    **_below("nn", "gelu", lambda f, t: f(t.s, approximate=True)),
    **_below("nn", "bias_add", lambda f, t: f(t.x, ROW)),
    **_below("nn", "conv2d", lambda f, t: f(t.x, KERNEL, strides=[1, 2, 1, 1], padding="SAME")),
    **_below("nn", "atrous_conv2d", lambda f, t: f(t.x, KERNEL, rate=2, padding="SAME")),
    **_below("nn", "convolution", lambda f, t: f(t.s, KERNEL[:, 0], strides=2, padding="VALID")),
    **_below("nn", "conv1d", lambda f, t: f(t.s, KERNEL[:, 0], stride=2, padding="VALID")),
    **_below("nn", "conv2d_transpose", lambda f, t: f(t.x[:1], KERNEL, output_shape=[1, 12, 10, 4], strides=2)),
    **_below("nn", "depthwise_conv2d", lambda f, t: f(t.x, KERNEL, strides=[1, 1, 1, 1], padding="SAME")),
    **_below("nn", "separable_conv2d",
             lambda f, t: f(t.x, KERNEL[..., :1], SQUARE[None, None], strides=[1, 1, 1, 1], padding="VALID")),
    **_below("nn", "dilation2d", lambda f, t: f(t.x, KERNEL[..., 0], [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1])),
    **_below("nn", "max_pool avg_pool max_pool2d avg_pool2d", lambda f, t: f(t.x, 2, 2, "SAME")),
    **_below("nn", "max_pool1d avg_pool1d", lambda f, t: f(t.s, 3, 2, "VALID")),
    **_below("nn", "pool", lambda f, t: f(t.x, [2, 2], "AVG", strides=[1, 1], padding="VALID")),
    **_below("nn", "max_pool_with_argmax", lambda f, t: f(t.x, 2, 2, "VALID")),
    **_below("nn", "batch_normalization", lambda f, t: f(t.x, ROW, ROW**2, ROW, -ROW, 1e-3)),
    **_below("nn", "local_response_normalization lrn", lambda f, t: f(t.x, 2)),
    **_below("nn", "moments", lambda f, t: f(t.x, axes=[1, 2], keepdims=True)),
    **_below("nn", "l2_normalize", lambda f, t: f(t.s, axis=[1, 2])),
    **_below("nn", "depth_to_space", lambda f, t: f(t.x, 2)),
    **_below("nn", "space_to_depth", lambda f, t: f(t.x[:, :, :4], 2)),
    **_below("nn", "embedding_lookup", lambda f, t: f(t.m[0], t.i)),
    **_below("nn", "top_k", lambda f, t: f(t.s, k=3, sorted=True)),
    **_below("nn", "sigmoid_cross_entropy_with_logits", lambda f, t: f(labels=t.p, logits=t.s)),
    **_below("nn", "softmax_cross_entropy_with_logits", lambda f, t: f(labels=t.p, logits=t.s)),
    **_below("nn", "sparse_softmax_cross_entropy_with_logits", lambda f, t: f(labels=t.i, logits=t.s)),
    # images
    **_below("image", "resize", lambda f, t: f(t.x, size=[9, 4], method="bilinear", antialias=False)),
    **_each("compat.v1.image.resize_bilinear compat.v1.image.resize_nearest_neighbor",
            lambda f, t: f(t.x, [12, 10], align_corners=True)),
    **_below("image", "flip_left_right flip_up_down rot90 transpose", lambda f, t: f(t.x)),
    **_below("image", "central_crop", lambda f, t: f(t.x, 0.5)),
    **_below("image", "crop_to_bounding_box", lambda f, t: f(t.x, 1, 2, 4, 3)),
    **_below("image", "pad_to_bounding_box", lambda f, t: f(t.x, 1, 2, 9, 8)),
    **_below("image", "resize_with_crop_or_pad", lambda f, t: f(t.x, 4, 8)),
    **_below("image", "resize_with_pad", lambda f, t: f(t.x, 8, 12)),
    **_below("image", "crop_and_resize",
             lambda f, t: f(t.x, [[0.1, 0.2, 0.9, 0.8]], [0], [3, 4])),
    **_below("image", "extract_patches",
             lambda f, t: f(t.x, [1, 3, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME")),
    **_below("image", "rgb_to_grayscale rgb_to_hsv rgb_to_yuv rgb_to_yiq", lambda f, t: f(t.q)),
    **_below("image", "grayscale_to_rgb", lambda f, t: f(t.x[..., :1])),
    **_below("image", "hsv_to_rgb yuv_to_rgb yiq_to_rgb", lambda f, t: f(t.q)),
    **_below("image", "adjust_brightness adjust_gamma adjust_contrast adjust_saturation adjust_hue",
             lambda f, t: f(t.q, 0.3)),
    **_below("image", "per_image_standardization sobel_edges image_gradients total_variation", lambda f, t: f(t.x)),
    **_below("image", "convert_image_dtype", lambda f, t: f(t.i, "float32")),
    **_below("image", "psnr", lambda f, t: f(t.q, t.q * 0.9, max_val=1.0)),
    # matrices
    **_each("matmul linalg.matmul", lambda f, t: f(t.s, t.m, transpose_b=True)),
    **_below("linalg", "matvec", lambda f, t: f(t.m, t.s[:, 0])),
    **_below("linalg", "det inv trace diag_part adjoint matrix_transpose logdet", lambda f, t: f(t.d)),
    **_below("linalg", "cholesky", lambda f, t: f(t.d)),
    **_below("linalg", "diag", lambda f, t: f(t.s)),
    **_below("linalg", "set_diag", lambda f, t: f(t.m, t.s[:, 0])),
    **_below("linalg", "band_part", lambda f, t: f(t.m, 1, 0)),
    **_below("linalg", "solve triangular_solve", lambda f, t: f(t.d, t.m)),
    **_below("linalg", "norm", lambda f, t: f(t.s, axis=-1, keepdims=True)),
    **_below("linalg", "normalize", lambda f, t: f(t.s, axis=-1)),
    **_below("linalg", "l2_normalize", lambda f, t: f(t.s, axis=-1)),
    **_below("linalg", "cross", lambda f, t: f(t.s[..., :3], t.p[..., 1:])),
    **_below("linalg", "tensordot", lambda f, t: f(t.s, SQUARE, axes=[[2], [0]])),
    **_each("tensordot", lambda f, t: f(t.s, SQUARE, axes=1)),
    **_each("norm", lambda f, t: f(t.s)),
    **_each("cumsum", lambda f, t: f(t.s, axis=1)),
    # signals
    **_below("signal", "fft", lambda f, t: f(t.c)),
    **_below("signal", "frame", lambda f, t: f(t.s[..., 0], 3, 2)),
    **_below("signal", "stft", lambda f, t: f(t.s[..., 0], 4, 2, 4)),
    **_below("signal", "dct", lambda f, t: f(t.s)),
    **_below("signal", "overlap_and_add", lambda f, t: f(t.s, 2)),
}  # fmt: skip


def _segments(f: Any, t: Tensors) -> Any:
    numbers = np.array([0, 0, 1, 1, 1, 2, 2])
    return (f(t.s[0], numbers, num_segments=3) if "unsorted" in f.__name__ else f(t.s[0], numbers))[0, 0]


def _space(f: Any, t: Tensors) -> Any:
    if f.__name__.startswith("space"):
        return f(t.x, [2, 1], [[0, 0], [0, 0]])
    return f(t.x, [1, 1], [[0, 0], [0, 0]])
