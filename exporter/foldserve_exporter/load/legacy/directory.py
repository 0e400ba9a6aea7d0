"""Reader of the SavedModel directories of Keras 2: configuration and variables, never the graph functions.

Loading a SavedModel runs operations of its graph (a resource's initialiser may write files), so it is never loaded: the
model is constructed from its Keras configuration, and its variables are read from the checkpoint inside.
"""

from pathlib import Path
from typing import Any

from ...errors import CannotLoad
from .stored_model import StoredModel, model_config, parse_config
from .tf_keras_private import saved_metadata

_METADATA = "keras_metadata.pb"
_MODELS = ("_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential")
_MAX_BYTES = 1 << 30
_WITHOUT_METADATA = (
    "{path} is a SavedModel without Keras metadata: it holds operations, not layers, and nothing can be folded."
    " Save the Keras model it was made from with model.save('NAME.keras')"
)


def read_directory(path: Path) -> StoredModel:
    """Reads the configuration of the outermost model now, and the variables when they are assigned.

    Raises:
        CannotLoad: It was not saved by Keras, or is a subclassed model, of which a SavedModel holds no configuration.
    """
    metadata = parse_config(_root_metadata(path), path)
    if not isinstance(metadata, dict) or not _has_layers(metadata.get("model_config")):
        raise CannotLoad(
            f"{path} holds a subclassed model, without the configuration to make"
            " it again: load it with the code that defines it and export the model object"
        )
    config = model_config(metadata["model_config"], path)
    return StoredModel(path, str(metadata.get("keras_version", "")), config, lambda model: _fill(model, path))


def _has_layers(config: Any) -> bool:
    """True if a configuration lists layers; that of a subclassed model is missing, or custom and without layers."""
    inner = config.get("config") if isinstance(config, dict) else None
    return isinstance(inner, list) or (isinstance(inner, dict) and "layers" in inner)


def _root_metadata(path: Path) -> str:
    """Keras' metadata of the outermost object: in a file of its own since tf.keras 2.5, in the graph before."""
    try:
        if (path / _METADATA).is_file():
            nodes = saved_metadata(_content(path / _METADATA)).nodes
            metadata = [str(node.metadata) for node in nodes if node.node_id == 0 and node.identifier in _MODELS]
        else:
            metadata = _metadata_in_graph(_content(path / "saved_model.pb"))
    except CannotLoad:
        raise
    except Exception as error:  # protobuf's DecodeError has no public base that is its own
        raise CannotLoad(f"{path} is damaged: its metadata cannot be read: {error}") from error
    if not metadata or not metadata[0]:
        raise CannotLoad(_WITHOUT_METADATA.format(path=path))
    return metadata[0]


def _metadata_in_graph(content: bytes) -> list[str]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graphs = SavedModel.FromString(content).meta_graphs
    nodes = graphs[0].object_graph_def.nodes if graphs else []
    root = nodes[0].user_object if nodes else None
    return [root.metadata] if root is not None and root.identifier in _MODELS else []


def _content(path: Path) -> bytes:
    if path.stat().st_size > _MAX_BYTES:
        raise CannotLoad(f"{path} is larger than {_MAX_BYTES:,} bytes")
    return path.read_bytes()


def _fill(model: Any, path: Path) -> None:
    import tensorflow as tf

    status = tf.train.Checkpoint(root=model).read(str(path / "variables" / "variables"))
    status.assert_existing_objects_matched().expect_partial()
