"""Files for clusters: well-formed, consistent, locked, without privileges."""

import math
import pathlib
import re

import pytest
import yaml
from helpers.paths import ROOT


def only(mapping, required, optional=()):
  """The mapping, with these keys and no others: a typo fails here."""
  assert isinstance(mapping, dict)
  assert set(required) <= set(mapping) <= {*required, *optional}, mapping
  return mapping


@pytest.mark.parametrize("kind", ["tpu", "tpu7x", "gpu"])
def test_jobset_is_well_formed(kind):
  """R27: as JobSet v1alpha2, batch/v1 and core/v1, as far as we use them."""
  documents = list(
    yaml.safe_load_all((ROOT / f"launch/gke_{kind}.yaml").read_text())
  )
  assert len(documents) == 1
  top = only(documents[0], ["apiVersion", "kind", "metadata", "spec"])
  assert top["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
  assert top["kind"] == "JobSet"
  name = only(top["metadata"], ["name"], ["annotations", "labels"])["name"]
  assert re.fullmatch(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", name)
  spec = only(
    top["spec"],
    ["replicatedJobs", "failurePolicy"],
    ["network", "successPolicy", "startupPolicy", "suspend"],
  )
  policy = only(spec["failurePolicy"], ["maxRestarts"], ["rules"])
  assert policy["maxRestarts"] > 0
  for rule in policy["rules"]:
    only(rule, ["name", "action"], ["onJobFailureReasons"])
    assert rule["action"] in (
      "FailJobSet",
      "RestartJobSet",
      "RestartJobSetAndIgnoreMaxRestarts",
    )
    assert set(rule["onJobFailureReasons"]) <= {
      "BackoffLimitExceeded",
      "DeadlineExceeded",
      "FailedIndexes",
      "MaxFailedIndexesExceeded",
      "PodFailurePolicy",
    }
  [group] = spec["replicatedJobs"]
  only(group, ["name", "template"], ["replicas"])
  job = only(group["template"], ["spec"])["spec"]
  check_job(job)
  check_pod(job["template"], kind, hosts=job["completions"])
  if kind == "gpu":
    assert spec["network"] == {"enableDNSHostnames": True}
    env = {
      e["name"]: e for e in job["template"]["spec"]["containers"][0]["env"]
    }
    # Pod 0 of Job 0 of this JobSet, in the JobSet's subdomain.
    assert env["JAX_COORDINATOR_ADDRESS"]["value"] == (
      f"{name}-{group['name']}-0-0.{name}:47321"
    )
    assert env["JAX_NUM_PROCESSES"]["value"] == str(job["completions"])
    assert "job-completion-index" in str(env["JAX_PROCESS_ID"]["valueFrom"])


def check_job(job):
  only(
    job,
    [
      "completions",
      "parallelism",
      "completionMode",
      "backoffLimit",
      "template",
    ],
    ["podFailurePolicy"],
  )
  assert job["completionMode"] == "Indexed"
  assert job["completions"] == job["parallelism"] > 1
  assert job["backoffLimit"] == 0
  [rule] = job["podFailurePolicy"]["rules"]
  codes = only(rule, ["action", "onExitCodes"])["onExitCodes"]
  assert rule["action"] == "FailJob"
  only(codes, ["operator", "values"], ["containerName"])
  assert codes["operator"] == "In" and codes["values"] == [1, 65, 66]
  containers = job["template"]["spec"]["containers"]
  assert codes["containerName"] in {c["name"] for c in containers}


def check_pod(template, kind, hosts):
  pod = only(
    only(template, ["spec"], ["metadata"])["spec"],
    ["containers", "restartPolicy", "nodeSelector", "securityContext"],
    [
      "volumes",
      "tolerations",
      "terminationGracePeriodSeconds",
      "automountServiceAccountToken",
      "serviceAccountName",
    ],
  )
  assert pod["restartPolicy"] == "Never"  # what a podFailurePolicy asks for
  assert pod["securityContext"]["runAsNonRoot"] is True
  assert pod["automountServiceAccountToken"] is False
  assert pod["terminationGracePeriodSeconds"] >= 120
  [container] = pod["containers"]
  only(
    container,
    ["name", "image", "args", "resources", "securityContext", "volumeMounts"],
    ["env", "ports", "command"],
  )
  assert container["image"] == "IMAGE"
  assert container["securityContext"]["allowPrivilegeEscalation"] is False
  assert "--distributed=auto" in container["args"]
  buckets = [each for each in container["args"] if "gs://BUCKET/" in each]
  assert len(buckets) == 2 and pod["serviceAccountName"] == "signllm"
  resource = "nvidia.com/gpu" if kind == "gpu" else "google.com/tpu"
  limits = container["resources"]["limits"]
  assert limits == container["resources"]["requests"]
  assert list(limits) == [resource]
  volumes = {v["name"] for v in pod["volumes"]}
  assert {m["name"] for m in container["volumeMounts"]} == volumes
  if kind != "gpu":
    only(
      pod["nodeSelector"],
      [
        "cloud.google.com/gke-tpu-accelerator",
        "cloud.google.com/gke-tpu-topology",
      ],
    )
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = math.prod(map(int, topology.split("x")))
    assert chips == hosts * limits[resource]
  else:
    only(pod["nodeSelector"], ["cloud.google.com/gke-accelerator"])
    assert pod["tolerations"] == [
      {"key": resource, "operator": "Exists", "effect": "NoSchedule"}
    ]


def pins_of(path: pathlib.Path) -> set[tuple[str, str]]:
  """Names and versions; one name may have a version for each Python."""
  return set(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize(
  "name, special",
  [("tpu", "libtpu"), ("gpu", "jax-cuda13-plugin"), ("build", "setuptools")],
)
def test_locks_agree_with_the_project(name, special):
  path = ROOT / f"launch/{name}.lock"
  pins, project = pins_of(path), pins_of(ROOT / "requirements.lock")
  names = {pin for pin, _ in project}
  assert {pin for pin in pins if pin[0] in names} <= project
  assert special in {pin for pin, _ in pins}
  check_hashed(path)


def check_hashed(path: pathlib.Path) -> None:
  """Every entry ends in a backslash, and what follows is a hash."""
  text = path.read_text()
  for line in re.findall(r"^[^#\s].*\n.*", text, re.MULTILINE):
    assert re.search(r"\\\n +--hash=sha256:[0-9a-f]{64}", line), line
  assert not re.search(r"://|index-url|find-links", text)


def test_the_lock_of_beam_differs_where_beam_needs_it():
  """Other versions than the project's only of packages that Beam bounds."""
  path = ROOT / "launch/beam.lock"
  check_hashed(path)
  project = pins_of(ROOT / "requirements.lock")
  other = {name for name, _ in pins_of(path) - project}
  both = other & {name for name, _ in project}
  assert both <= {"pillow", "protobuf", "pyarrow", "python-dateutil"}
  assert {"apache-beam"} <= other - both


def test_image_is_locked_and_unprivileged():
  lines = (ROOT / "launch/Dockerfile").read_text().splitlines()
  code = [line for line in lines if not line.lstrip().startswith("#")]
  joined = "\n".join(code).replace("\\\n", " ")
  installs = re.findall(r"pip install [^&\n]*", joined)
  assert len(installs) == 2
  assert all("--require-hashes" in line for line in installs)
  users = re.findall(r"^USER (\S+)", joined, re.MULTILINE)
  assert users == ["1000"]
  assert joined.rindex("USER") < joined.rindex("ENTRYPOINT")
  assert not re.search(r"ADD |curl|wget|SECRET|TOKEN|PASSWORD|KEY", joined)
  for sources in re.findall(r"^COPY (?!--from)(.*)", joined, re.MULTILINE):
    for source in sources.split()[:-1]:
      found = source.replace("${LOCK}", "tpu")
      assert (ROOT / found).exists(), source
  ignored = (ROOT / "launch/Dockerfile.dockerignore").read_text().splitlines()
  assert next(line for line in ignored if not line.startswith("#")) == "*"
