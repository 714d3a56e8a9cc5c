"""Text generation with seeded sampling that one prefill can verify."""
