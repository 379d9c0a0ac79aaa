"""What a frame and a question are made into for a model, without PyTorch."""
