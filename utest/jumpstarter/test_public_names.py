"""The import names that drivers, clients and tests of others use, with the parameters they are called with."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

NAMES: dict[str, str] = {
    "jumpstarter": "configure_grpc_env",
    "jumpstarter.common.types": "AsyncChannel ControllerStub ExporterStub RouterStub",
    "jumpstarter_cli.jmp": "jmp",
    "jumpstarter_driver_network.streams.websocket": "WebsocketClientStream",
    "jumpstarter_driver_opendal.adapter": "OpendalAdapter AsyncFileStream",
    "jumpstarter_driver_opendal.client": (
        "FlasherClient FlasherClientInterface StorageMuxClient StorageMuxFlasherClient OpendalClient OpendalFile "
        "operator_for_path clean_filename path_with_query"
    ),
    "jumpstarter_driver_pyserial.client": "Console PySerialClient",
    "jumpstarter_driver_pyserial.console": "Console ConsoleExit",
    "jumpstarter_driver_pyserial.driver": "PySerial AsyncSerial ThrottledStream serial_for_url",
    "jumpstarter_testing": "JumpstarterTest eventually",
    "jumpstarter.driver": "Driver FlasherInterface export exportstream",
    "jumpstarter.driver.base": "Driver",
    "jumpstarter.driver.decorators": (
        "export exportstream MARKER_MAGIC MARKER_DRIVERCALL MARKER_STREAMCALL MARKER_STREAMING_DRIVERCALL"
    ),
    "jumpstarter.driver.flasher": "FlasherInterface",
    "jumpstarter.client": (
        "DriverClient DirectLease FlasherClient FlasherClientInterface Lease client_from_path"
    ),
    "jumpstarter.client.adapters": "blocking",
    "jumpstarter.client.base": "DriverClient StubDriverClient",
    "jumpstarter.client.client": "client_from_path client_from_channel fetch_motd",
    "jumpstarter.client.core": (
        "AsyncDriverClient DriverError DriverMethodNotImplemented DriverInvalidArgument ExporterNotReady"
    ),
    "jumpstarter.client.decorators": "driver_click_group driver_click_command DriverClickGroup",
    "jumpstarter.client.exceptions": "LeaseError",
    "jumpstarter.client.flasher": "FlasherClient FlasherClientInterface PathBuf",
    "jumpstarter.client.grpc": (
        "Exporter Lease ExporterList LeaseList WithOptions ClientService MultipathExporterStub"
    ),
    "jumpstarter.client.lease": "Lease DirectLease",
    "jumpstarter.client.selectors": "parse_label_selector extract_match_labels_filter selector_contains",
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
    "jumpstarter.common.utils": (
        "serve serve_async launch_shell lease_ending_handler env env_with_metadata ExporterMetadata"
    ),
    "jumpstarter.config.exporter": (
        "ExporterConfigV1Alpha1 ExporterConfigListV1Alpha1 ExporterConfigV1Alpha1DriverInstance "
        "ExporterConfigV1Alpha1DriverInstanceBase ExporterConfigV1Alpha1DriverInstanceComposite "
        "ExporterConfigV1Alpha1DriverInstanceProxy HookConfigV1Alpha1 HookInstanceConfigV1Alpha1 "
        "FailureDetectionConfigV1Alpha1"
    ),
    "jumpstarter.config.client": (
        "ClientConfigV1Alpha1 ClientConfigV1Alpha1Drivers ClientConfigV1Alpha1Lease ClientConfigListV1Alpha1"
    ),
    "jumpstarter.config.grpc": "call_credentials",
    "jumpstarter.exporter": "Session Exporter",
    "jumpstarter.exporter.auth": (
        "PassphraseInterceptor passphrase_client_interceptors PASSPHRASE_METADATA_KEY"
    ),
    "jumpstarter.exporter.exporter": "Exporter",
    "jumpstarter.exporter.hooks": "HookExecutor HookExecutionError",
    "jumpstarter.config.user": "UserConfigV1Alpha1 UserConfigV1Alpha1Config",
    "jumpstarter.exporter.lease_context": "LeaseContext",
    "jumpstarter.exporter.logging": "get_logger LogHandler",
    "jumpstarter.exporter.session": "Session",
    "jumpstarter.logging": "get_logger",
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
    "jumpstarter.client.base.StubDriverClient": "call streamingcall stream log_stream open_stream call_async stream_async",
    "jumpstarter.config.user.UserConfigV1Alpha1": "USER_CONFIG_PATH load save exists load_or_create use_client",
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1": (
        "BASE_PATH SYSTEM_CONFIG_PATH "
        "load load_path save list exists delete resolve_path user_config_exists validate_alias dump_yaml serve_unix "
        "serve_unix_async create_exporter serve"
    ),
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1DriverInstance": "instantiate from_path from_str root",
    "jumpstarter.exporter.Exporter": "serve serve_standalone_tcp stop exit_code __aenter__ __aexit__",
    "jumpstarter.exporter.hooks.HookExecutionError": "should_shutdown_exporter should_end_lease",
    "jumpstarter.exporter.hooks.HookExecutor": (
        "execute_before_lease_hook execute_after_lease_hook run_before_lease_hook run_after_lease_hook"
    ),
    "jumpstarter.exporter.lease_context.LeaseContext": (
        "is_ready is_active has_client update_client clear_client update_status drivers_ready wait_for_drivers"
    ),
    "jumpstarter.client.Lease": (
        "connect connect_async serve_unix serve_unix_async monitor monitor_async request request_async get refresh_channel "
        "handle_async exporter_name lease_ended lease_transferred lease_ending_callback __enter__ __exit__ __aenter__ __aexit__"
    ),
    "jumpstarter.client.DirectLease": (
        "connect connect_async serve_unix serve_unix_async monitor monitor_async exporter_name lease_ended "
        "__enter__ __exit__ __aenter__ __aexit__"
    ),
    "jumpstarter.client.grpc.ClientService": (
        "GetExporter ListExporters GetLease ListLeases CreateLease UpdateLease DeleteLease RotateToken"
    ),
    "jumpstarter.client.grpc.Lease": "from_protobuf get_status model_dump model_dump_json",
    "jumpstarter.client.grpc.Exporter": "from_protobuf model_dump model_dump_json",
    "jumpstarter.config.client.ClientConfigV1Alpha1": (
        "CLIENT_CONFIGS_PATH channel lease lease_async get_exporter list_exporters create_lease delete_lease "
        "list_leases update_lease rotate_token from_file from_env try_from_env load save exists list delete dump_yaml "
        "ensure_exists"
    ),
    "jumpstarter.exporter.Session": (
        "serve_port_async serve_multi_port_async serve_tcp_async serve_tcp_and_unix_async serve_unix_async "
        "serve_unix_with_hook_socket_async serve_unix update_status add_logger_source context_log_source "
        "lease_context mapping __getitem__"
    ),
    "jumpstarter.common.utils.ExporterMetadata": "from_env",
}

CALLS: dict[str, str] = {
    "jumpstarter.common.streams.connect_router_stream": "endpoint token stream tls_config grpc_options",
    "jumpstarter.driver.Driver.DriverCall": "self request context",
    "jumpstarter.driver.Driver.StreamingDriverCall": "self request context",
    "jumpstarter.driver.Driver.Stream": "self request context",
    "jumpstarter.driver.Driver.resource": "self handle timeout",
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1.create_exporter": "self standalone",
    "jumpstarter.config.user.UserConfigV1Alpha1.save": "self path",
    "jumpstarter.config.user.UserConfigV1Alpha1.use_client": "self name",
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1DriverInstance": "root",
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1DriverInstance.from_path": "path",
    "jumpstarter.config.exporter.ExporterConfigV1Alpha1DriverInstance.from_str": "config",
    "jumpstarter.exporter.Exporter": (
        "uuid labels channel_factory device_factory tls grpc_options hook_executor motd exit_on_lease_end token"
    ),
    "jumpstarter.exporter.Exporter.serve_standalone_tcp": "self host port tls_credentials interceptors",
    "jumpstarter.exporter.Exporter.stop": "self wait_for_lease_exit should_unregister exit_code",
    "jumpstarter.exporter.hooks.HookExecutionError": "message on_failure hook_type",
    "jumpstarter.exporter.hooks.HookExecutor": "config",
    "jumpstarter.exporter.hooks.HookExecutor.run_before_lease_hook": (
        "self lease_scope report_status shutdown request_lease_release"
    ),
    "jumpstarter.exporter.hooks.HookExecutor.run_after_lease_hook": (
        "self lease_scope report_status shutdown request_lease_release"
    ),
    "jumpstarter.exporter.lease_context.LeaseContext": (
        "lease_name before_lease_hook end_session_requested after_lease_hook_started after_lease_hook_done "
        "lease_ended session socket_path hook_socket_path client_name current_status status_message "
        "skip_after_lease_hook"
    ),
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
    "jumpstarter.common.utils.launch_shell": (
        "host context allow unsafe use_profiles command lease insecure passphrase"
    ),
    "jumpstarter.common.utils.lease_ending_handler": "process lease remaining_time",
    "jumpstarter.common.utils.serve": "root_device",
    "jumpstarter.common.utils.serve_async": "root_device portal stack",
    "jumpstarter.common.importlib.import_class": "class_path allow unsafe",
    "jumpstarter.client.client.client_from_path": (
        "path portal stack allow unsafe tls_config grpc_options insecure passphrase"
    ),
    "jumpstarter.client.client.client_from_channel": "channel portal stack allow unsafe",
    "jumpstarter.client.client.fetch_motd": "path tls_config grpc_options insecure passphrase",
    "jumpstarter.client.grpc.ClientService": "channel namespace",
    "jumpstarter.client.grpc.ClientService.GetExporter": "self name show_hidden_labels",
    "jumpstarter.client.grpc.ClientService.ListExporters": (
        "self page_size page_token filter show_hidden_labels"
    ),
    "jumpstarter.client.grpc.ClientService.ListLeases": (
        "self page_size page_token filter only_active tag_filter"
    ),
    "jumpstarter.client.grpc.ClientService.CreateLease": (
        "self selector duration exporter_name begin_time lease_id tags allow_disabled"
    ),
    "jumpstarter.client.grpc.ClientService.UpdateLease": "self name duration begin_time client",
    "jumpstarter.client.grpc.Exporter": (
        "namespace name labels online status enabled lease deprecated_labels"
    ),
    "jumpstarter.client.grpc.ExporterList": (
        "exporters next_page_token include_online include_leases include_status include_disabled"
    ),
    "jumpstarter.client.grpc.Lease": (
        "namespace name selector exporter_name tags duration effective_duration begin_time client exporter conditions "
        "effective_begin_time effective_end_time deprecated_labels"
    ),
    "jumpstarter.client.grpc.LeaseList": "leases next_page_token",
    "jumpstarter.client.grpc.MultipathExporterStub": "channels",
    "jumpstarter.client.grpc.WithOptions": "show_online show_leases show_status show_disabled",
    "jumpstarter.client.lease.DirectLease": (
        "address portal allow unsafe tls_config grpc_options insecure passphrase"
    ),
    "jumpstarter.client.lease.Lease": (
        "channel duration selector requested_exporter_name portal namespace name tags allow unsafe release tls_config "
        "grpc_options client_name acquisition_timeout dial_timeout retry_timeout"
    ),
    "jumpstarter.client.lease.Lease.connect_async": "self stack",
    "jumpstarter.client.lease.Lease.monitor": "self threshold",
    "jumpstarter.client.lease.Lease.monitor_async": "self threshold",
    "jumpstarter.client.lease.Lease.refresh_channel": "self channel",
    "jumpstarter.client.status_monitor.StatusMonitor": "stub poll_interval get_status_unsupported",
    "jumpstarter.config.client.ClientConfigV1Alpha1.create_lease": (
        "self duration selector exporter_name begin_time lease_id tags allow_disabled"
    ),
    "jumpstarter.config.client.ClientConfigV1Alpha1.get_exporter": "self name show_hidden_labels",
    "jumpstarter.config.client.ClientConfigV1Alpha1.lease": (
        "self selector exporter_name lease_name duration"
    ),
    "jumpstarter.config.client.ClientConfigV1Alpha1.lease_async": (
        "self selector exporter_name lease_name duration portal acquisition_timeout retry_timeout"
    ),
    "jumpstarter.config.client.ClientConfigV1Alpha1.list_exporters": (
        "self filter include_leases include_online include_status include_disabled page_size show_hidden_labels"
    ),
    "jumpstarter.config.client.ClientConfigV1Alpha1.list_leases": (
        "self filter only_active page_size tag_filter"
    ),
    "jumpstarter.config.client.ClientConfigV1Alpha1.update_lease": ("self name duration begin_time client"),
    "jumpstarter.config.grpc.call_credentials": "kind metadata token",
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
