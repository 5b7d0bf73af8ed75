type Environment = Readonly<Record<string, string | undefined>>

const asking = /^OTEL_(CONFIG_FILE|EXPORTER_OTLP(_TRACES|_METRICS|_LOGS)?_ENDPOINT|(TRACES|METRICS|LOGS)_EXPORTER)$/

/** Whether the `OTEL_*` variables ask for anything to be exported. Nothing of the SDK is loaded to find out. */
export function isSdkWanted(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return false
  return Object.entries(env).some(([name, value]) => asking.test(name) && value !== undefined && value !== '' && value !== 'none')
}
