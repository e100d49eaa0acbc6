"""Training of the shipped micro models. Only the files in here import torch."""
