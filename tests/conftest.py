"""Eight simulated devices for every test that wants more than one."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
