"""Eight simulated devices, and one compilation of what many tests compile."""

import atexit
import os
import shutil
import tempfile

import jax

_cache = tempfile.mkdtemp(prefix="signllm_jax_tests_")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache  # for subprocesses too
jax.config.update("jax_compilation_cache_dir", _cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_num_cpu_devices", 8)
