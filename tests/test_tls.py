"""A cluster that talks TLS only, with certificates made here."""

from __future__ import annotations

import datetime
import ipaddress

import dask.array as da
import pytest
from inputs import blobs

from dask_kmeans import KMeans

pytestmark = pytest.mark.slow  # a cluster of its own

x509 = pytest.importorskip("cryptography.x509")

X = blobs(1200, 3, 4, seed=2)


@pytest.fixture(scope="module")
def security(tmp_path_factory):
    """A key, and a certificate that it signs itself, for scheduler, workers and client alike."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from distributed.security import Security

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dask-kmeans tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths = {"cert": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}
    return Security(
        tls_ca_file=paths["cert"],
        require_encryption=True,
        **{
            f"tls_{role}_{part}": path
            for role in ("scheduler", "worker", "client")
            for part, path in paths.items()
        },
    )


def test_a_fit_on_a_tls_cluster(security):
    from distributed import Client, LocalCluster

    expected = KMeans(4, random_state=0).fit(X)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, security=security,
            dashboard_address=None, worker_dashboard_address=None,
        ) as cluster,
        Client(cluster, security=security) as client,
    ):  # fmt: skip
        assert cluster.scheduler_address.startswith("tls://")
        assert all(worker.startswith("tls://") for worker in client.nthreads())
        model = KMeans(4, random_state=0).fit(da.from_array(X, chunks=(200, 3)))
        assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
        assert model.labels_.compute().tobytes() == expected.labels_.tobytes()
