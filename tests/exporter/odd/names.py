"""Odd names of tensors and layers."""

INPUT_NAMES = (
    "größe", "圖像", "an input", "1st", "x:0", "a.b", "a-b", "a_b", "a b", "serving_default", "inputs", "training",
    "self", "None", "class", "batch", "output", "dense", "keras_tensor", "mask", "name", "x" * 200, "a\nb", "%s", "{}",
    "🙂", "__init__", "..", "A", "a", "\\", "'", '"', "*", "é", "e\u0301", " ", "input/", "Const", "Identity", "unk__1",
)  # fmt: skip
KEYS = (*INPUT_NAMES, "a/b", "a/c", "/", "scores", "output_0", "outputs", "0", "a/b/c", "weight_0", "")
