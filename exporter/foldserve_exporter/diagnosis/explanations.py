"""Explanations of each kind of finding, for readers who meet it for the first time."""

from .finding import FindingKind

EXPLANATIONS = {
    FindingKind.NON_FINITE: "One value that is no number makes every prediction that passes it no number.",
    FindingKind.NEGATIVE_VARIANCE: "A variance is a mean of squares. A negative one is another weight in its place.",
    FindingKind.PERMUTED: "A legacy .h5 stores a nested model's weights as one list, trainable ones first. Read into a"
    " model with other trainable flags, weights of equal shapes change places without an error.",
    FindingKind.BAKED_PHASE: "Called with training=True, a layer normalises with whatever batch it is in, in service"
    " as well: the same row gets another answer among other rows.",
    FindingKind.LIVE_RANDOMNESS: "Dropout, noise and augmentation are for training. Where no learning phase is given,"
    " some are active, and every answer is a draw.",
    FindingKind.MOVING_STATISTICS: "A model in service must not learn from its requests: after each, it is another"
    " model.",
    FindingKind.NEIGHBOURS: "A server batches the requests of strangers. An answer must depend on its own row alone.",
    FindingKind.RANDOM: "Nothing that is verified today holds tomorrow, if the same row may get another answer.",
    FindingKind.PREDICT_DIFFERS: "In inference every layer should do what it was told by the weights alone.",
    FindingKind.CONSTANT: "Where every channel of a layer is a constant, all behind it is: no input reaches the"
    " answer.",
    FindingKind.SCALING_FAULT: "The area under the ROC curve and Spearman's correlation look at the order of the"
    " predictions, accuracy and error at their values. A normalisation that is off spoils the values and keeps the"
    " order.",
    FindingKind.PHASE_GAP: "Phase 1 is how a model is trained: BatchNormalization uses the batch's own mean and"
    " variance. Phase 0 is how it is served: on moving averages of these. Good in fit and bad in predict is this gap.",
    FindingKind.FROZEN_BUT_TRAINED: "Keras before 2.2 normalised with batch statistics in frozen layers too, so that a"
    " head learnt on values that it never meets in service.",
    FindingKind.UNTOUCHED: "Keras begins with mean 0 and variance 1. Where they still stand, the layer normalises"
    " nothing.",
    FindingKind.LAGGING: "Moving averages forget their initial value by the factor momentum a step: 0.99 needs 460"
    " steps to forget all but one per cent.",
    FindingKind.OTHER_DATA: "Statistics describe the data they were taken from. On other data they centre and scale"
    " wrongly.",
    FindingKind.STALE: "Moving averages follow the weights with a delay. Weights that moved since see values that the"
    " averages do not describe.",
    FindingKind.TINY_VARIANCE: "Normalising divides by the deviation. Where it was next to nothing in training, the"
    " smallest difference in service becomes a large one.",
    FindingKind.EXPLODING_GAIN: "A layer that multiplies by so much turns rounding and noise into signal.",
    FindingKind.DEAD_GAIN: "With γ = 0 a channel is a constant. It is paid for in every prediction and says nothing.",
}
