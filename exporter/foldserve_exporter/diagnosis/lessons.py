"""What each kind of finding is and how it comes about, for readers who meet it for the first time."""

from .finding import Kind

LESSONS = {
    Kind.NON_FINITE: "One value that is no number makes every prediction that passes it no number.",
    Kind.NEGATIVE_VARIANCE: "A variance is a mean of squares. A negative one is another weight in its place.",
    Kind.PERMUTED: "A legacy .h5 stores a nested model's weights as one list, trainable ones first. Read into a model"
    " with other trainable flags, weights of equal shapes change places without an error.",
    Kind.BAKED_PHASE: "Called with training=True, a layer normalises with whatever batch it is in, in service as well:"
    " the same row gets another answer among other rows.",
    Kind.LIVE_RANDOMNESS: "Dropout, noise and augmentation are for training. Where no learning phase is given, some are"
    " active, and every answer is a draw.",
    Kind.MOVING_STATISTICS: "A model in service must not learn from its requests: after each, it is another model.",
    Kind.NEIGHBOURS: "A server batches the requests of strangers. An answer must depend on its own row alone.",
    Kind.RANDOM: "Nothing that is verified today holds tomorrow, if the same row may get another answer.",
    Kind.PREDICT_DIFFERS: "In inference every layer should do what it was told by the weights alone.",
    Kind.CONSTANT: "Where every channel of a layer is a constant, all behind it is: no input reaches the answer.",
    Kind.SCALING_FAULT: "The area under the ROC curve and Spearman's correlation look at the order of the predictions,"
    " accuracy and error at their values. A normalisation that is off spoils the values and keeps the order.",
    Kind.PHASE_GAP: "Phase 1 is how a model is trained: BatchNormalization uses the batch's own mean and variance."
    " Phase 0 is how it is served: on moving averages of these. Good in fit and bad in predict is this gap.",
    Kind.FROZEN_BUT_TRAINED: "Keras before 2.2 normalised with batch statistics in frozen layers too, so that a head"
    " learnt on values that it never meets in service.",
    Kind.UNTOUCHED: "Keras begins with mean 0 and variance 1. Where they still stand, the layer normalises nothing.",
    Kind.LAGGING: "Moving averages forget their initial value by the factor momentum a step: 0.99 needs 460 steps to"
    " forget all but one per cent.",
    Kind.OTHER_DATA: "Statistics describe the data they were taken from. On other data they centre and scale wrongly.",
    Kind.STALE: "Moving averages follow the weights with a delay. Weights that moved since see values that the averages"
    " do not describe.",
    Kind.TINY_VARIANCE: "Normalising divides by the deviation. Where it was next to nothing in training, the smallest"
    " difference in service becomes a large one.",
    Kind.EXPLODING_GAIN: "A layer that multiplies by so much turns rounding and noise into signal.",
    Kind.DEAD_GAIN: "With γ = 0 a channel is a constant. It is paid for in every prediction and says nothing.",
}
