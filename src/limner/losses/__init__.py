"""What models minimise: likelihoods, divergences, adversarial objectives, penalties."""
