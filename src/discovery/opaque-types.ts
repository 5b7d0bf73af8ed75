/**
 * Messages that nothing here looks into: they are generated without fields, and what is in them is neither read nor checked. That a field
 * of one of these types is set is still seen. Descriptors are built when a process starts, and these were a third of them.
 */
export const opaqueTypes: ReadonlySet<string> = new Set([
  'envoy.config.accesslog.v3.AccessLogFilter',
  'envoy.config.core.v3.AlternateProtocolsCacheOptions',
  'envoy.config.core.v3.BindConfig',
  'envoy.config.core.v3.DnsResolutionConfig',
  'envoy.config.core.v3.EventServiceConfig',
  'envoy.config.core.v3.GrpcService.GoogleGrpc',
  'envoy.config.core.v3.HealthCheck.CustomHealthCheck',
  'envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat',
  'envoy.config.core.v3.Http3ProtocolOptions',
  'envoy.config.core.v3.JsonFormatOptions',
  'envoy.config.core.v3.ProxyProtocolConfig',
  'envoy.config.core.v3.QuicProtocolOptions',
  'envoy.config.cluster.v3.TrackClusterStats',
  'envoy.config.listener.v3.Listener.ConnectionBalanceConfig',
  'envoy.config.listener.v3.ListenerFilterChainMatchPredicate',
  'envoy.config.listener.v3.UdpListenerConfig',
  'envoy.config.route.v3.RateLimit',
  'envoy.config.route.v3.ScopedRouteConfiguration',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig',
  'envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper',
  'envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes',
  'envoy.type.tracing.v3.CustomTag',
  'google.api.expr.v1alpha1.CheckedExpr',
  'google.api.expr.v1alpha1.Expr',
  'xds.type.matcher.v3.Matcher',
])
