"""The Grad-CAM page: pictures, agreement with annotators, sanity checks, marking."""
