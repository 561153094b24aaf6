"""The import names that drivers, clients and tests of others use, with the parameters they are called with."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

NAMES: dict[str, str] = {
    "jumpstarter.driver": "Driver FlasherInterface export exportstream",
    "jumpstarter.driver.base": "Driver",
    "jumpstarter.driver.decorators": (
        "export exportstream MARKER_MAGIC MARKER_DRIVERCALL MARKER_STREAMCALL MARKER_STREAMING_DRIVERCALL"
    ),
    "jumpstarter.driver.flasher": "FlasherInterface",
    "jumpstarter.client": "DriverClient FlasherClient FlasherClientInterface client_from_path",
    "jumpstarter.client.adapters": "blocking",
    "jumpstarter.client.base": "DriverClient StubDriverClient",
    "jumpstarter.client.client": "client_from_path client_from_channel",
    "jumpstarter.client.core": (
        "AsyncDriverClient DriverError DriverMethodNotImplemented DriverInvalidArgument ExporterNotReady"
    ),
    "jumpstarter.client.decorators": "driver_click_group driver_click_command DriverClickGroup",
    "jumpstarter.client.flasher": "FlasherClient FlasherClientInterface PathBuf",
    "jumpstarter.client.status_monitor": "StatusMonitor",
    "jumpstarter.common": (
        "AsyncChannel ControllerStub ExporterStatus ExporterStub HOOK_WARNING_PREFIX LogSource Metadata RouterStub "
        "TemporarySocket TemporaryTcpListener TemporaryUnixListener download_fls get_fls_binary get_fls_github_url"
    ),
    "jumpstarter.common.condition": (
        "condition_present_and_equal condition_message condition_true condition_false"
    ),
    "jumpstarter.common.enums": "ExporterStatus LogSource",
    "jumpstarter.common.exceptions": (
        "JumpstarterException ConnectionError ExporterOfflineError ExporterUnreachableError ConfigurationError "
        "ArgumentError FileNotFoundError ReauthenticationFailed EnvironmentVariableNotSetError MissingDriverError"
    ),
    "jumpstarter.common.fls": "get_fls_github_url download_fls get_fls_binary",
    "jumpstarter.common.grpc": "ssl_channel_credentials aio_secure_channel translate_grpc_exceptions",
    "jumpstarter.common.importlib": "import_class cached_import",
    "jumpstarter.common.ipaddr": "get_ip_address get_minikube_ip",
    "jumpstarter.common.metadata": "Metadata",
    "jumpstarter.common.oci": (
        "OciCredentials parse_oci_registry read_auth_file_credentials resolve_oci_credentials"
    ),
    "jumpstarter.common.resources": "ClientStreamResource PresignedRequestResource Resource ResourceMetadata",
    "jumpstarter.common.serde": "encode_value decode_value",
    "jumpstarter.common.storage": (
        "wait_for_storage_device write_to_storage_device read_from_storage_device"
    ),
    "jumpstarter.common.streams": (
        "ResourceStreamRequest DriverStreamRequest StreamRequest StreamRequestMetadata connect_router_stream"
    ),
    "jumpstarter.common.tempfile": "TemporarySocket TemporaryTcpListener TemporaryUnixListener",
    "jumpstarter.common.utils": "serve serve_async env env_with_metadata ExporterMetadata",
    "jumpstarter.exporter": "Session",
    "jumpstarter.exporter.auth": (
        "PassphraseInterceptor passphrase_client_interceptors PASSPHRASE_METADATA_KEY"
    ),
    "jumpstarter.exporter.logging": "get_logger LogHandler",
    "jumpstarter.exporter.session": "Session",
    "jumpstarter.streams.aiohttp": "AiohttpStreamReaderStream",
    "jumpstarter.streams.blocking": "BlockingStream",
    "jumpstarter.streams.common": "copy_stream forward_stream create_memory_stream",
    "jumpstarter.streams.encoding": (
        "Compression CompressedStream ZlibCompressedStream compress_stream create_decompressor "
        "detect_compression_from_signature AutoDecompressIterator SIGNATURE_BUFFER_SIZE COMPRESSION_SIGNATURES"
    ),
    "jumpstarter.streams.metadata": "MetadataStream MetadataStreamAttributes",
    "jumpstarter.streams.progress": "ProgressStream ProgressAttribute",
    "jumpstarter.streams.router": "RouterStream",
    "jumpstarter.utils.env": "ExporterMetadata env env_with_metadata env_async env_with_metadata_async",
    "jumpstarter_testing.eventually": "eventually",
    "jumpstarter_testing.pytest": "JumpstarterTest",
}

MEMBERS: dict[str, str] = {
    "jumpstarter.driver.Driver": (
        "client close reset extra_labels report enumerate resource name driver_type DriverCall StreamingDriverCall Stream"
    ),
    "jumpstarter.client.core.AsyncDriverClient": (
        "call_async streamingcall_async stream_async resource_async log_stream_async get_status_async "
        "check_exporter_status wait_for_lease_ready end_session_async wait_for_hook_status status_monitor_async "
        "status wait_for_lease_ready_monitored wait_for_hook_complete_monitored"
    ),
    "jumpstarter.client.DriverClient": "call streamingcall stream log_stream open_stream close",
    "jumpstarter.exporter.Session": (
        "serve_port_async serve_multi_port_async serve_tcp_async serve_tcp_and_unix_async serve_unix_async "
        "serve_unix_with_hook_socket_async serve_unix update_status add_logger_source context_log_source "
        "lease_context __getitem__"
    ),
    "jumpstarter.common.utils.ExporterMetadata": "from_env",
}

CALLS: dict[str, str] = {
    "jumpstarter.common.streams.connect_router_stream": "endpoint token stream tls_config grpc_options",
    "jumpstarter.driver.Driver.DriverCall": "self request context",
    "jumpstarter.driver.Driver.StreamingDriverCall": "self request context",
    "jumpstarter.driver.Driver.Stream": "self request context",
    "jumpstarter.driver.Driver.resource": "self handle timeout",
    "jumpstarter.exporter.Session.serve_port_async": "self port",
    "jumpstarter.exporter.Session.serve_tcp_async": "self host port tls_credentials interceptors",
    "jumpstarter.exporter.Session.serve_tcp_and_unix_async": "self host port unix_path tls_credentials interceptors",
    "jumpstarter.exporter.Session.update_status": "self status message",
    "jumpstarter.exporter.logging.LogHandler": "queue source",
    "jumpstarter.common.tempfile.TemporaryTcpListener": (
        "handler local_host local_port family backlog reuse_port"
    ),
    "jumpstarter.common.tempfile.TemporaryUnixListener": "handler path",
    "jumpstarter.common.storage.wait_for_storage_device": "storage_device mode timeout logger",
    "jumpstarter.common.storage.write_to_storage_device": (
        "storage_device resource timeout fsync_timeout leeway logger"
    ),
    "jumpstarter.common.storage.read_from_storage_device": "storage_device resource timeout logger",
    "jumpstarter.common.fls.get_fls_binary": "fls_version fls_binary_url allow_custom_binaries",
    "jumpstarter.common.fls.get_fls_github_url": "version arch",
    "jumpstarter.common.fls.download_fls": "url timeout",
    "jumpstarter.common.oci.resolve_oci_credentials": "url username password",
    "jumpstarter.common.oci.OciCredentials": "username password",
    "jumpstarter.common.utils.serve": "root_device",
    "jumpstarter.common.utils.serve_async": "root_device portal stack",
    "jumpstarter.common.importlib.import_class": "class_path allow unsafe",
    "jumpstarter.client.client.client_from_path": (
        "path portal stack allow unsafe tls_config grpc_options insecure passphrase"
    ),
    "jumpstarter.client.client.client_from_channel": "channel portal stack allow unsafe",
    "jumpstarter.client.status_monitor.StatusMonitor": "stub poll_interval get_status_unsupported",
    "jumpstarter.exporter.logging.get_logger": "name source session",
    "jumpstarter.streams.blocking.BlockingStream": "stream portal",
    "jumpstarter.streams.common.copy_stream": "dst src",
    "jumpstarter.streams.metadata.MetadataStream": "stream metadata",
    "jumpstarter.streams.progress.ProgressStream": "stream logging",
    "jumpstarter.streams.router.RouterStream": "context",
    "jumpstarter.utils.env.env_async": "portal stack",
}


def find(path: str) -> Any:
    """What *path* names; in a class if the part before the last begins with a capital letter."""
    owner, _, name = path.rpartition(".")
    is_class = owner.rpartition(".")[2][0].isupper()
    return getattr(find(owner) if is_class else importlib.import_module(owner), name)


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there(module: str) -> None:
    loaded = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("path", MEMBERS)
def test_members_are_there(path: str) -> None:
    cls = find(path)
    assert [name for name in MEMBERS[path].split() if not hasattr(cls, name)] == []


@pytest.mark.parametrize("path", CALLS)
def test_parameters_have_their_names_and_order(path: str) -> None:
    parameters = list(inspect.signature(find(path)).parameters)
    assert parameters[: len(CALLS[path].split())] == CALLS[path].split()
