"""Diffusion and flow matching as pure functions: paths, preconditioners, solvers, guidance, wrappers of a denoiser.

One contract joins them. A denoiser is a function D(x, sigma) -> the expected clean image, where x = image + sigma
noise: (B, C, H, W) and (B,) -> (B, C, H, W). Whatever a network predicts (noise, velocity, the image) and on whatever
path it was trained, as a denoiser it can be given to any solver, guided, and wrapped to edit, fill in or compose.
"""
