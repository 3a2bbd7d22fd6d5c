"""Camera geometry: projection, distortion, registration of depth to colour."""
