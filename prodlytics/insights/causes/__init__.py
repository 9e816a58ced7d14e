"""Why a machine stopped: likely causes with calibrated probabilities and evidence, or that nobody can say."""
