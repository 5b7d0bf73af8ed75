/**
 * What in the environment of a process weakens TLS behind its back. The mesh's own connections are verified against given roots whatever is set
 * there, but their keys are not safe from `--tls-keylog`, and whatever else the process calls is not verified.
 *
 * @param execArgv options of Node, as in `process.execArgv`
 * @returns a warning for each
 */
export function tlsEnvironmentWarnings(
  env: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[],
): readonly string[] {
  const options = [...execArgv, ...(env.NODE_OPTIONS ?? '').split(/\s+/)]
  const warnings: string[] = []
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    warnings.push('NODE_TLS_REJECT_UNAUTHORIZED=0: calls that do not go through the mesh are not verified; those of the mesh are')
  if (options.some(option => option.startsWith('--tls-keylog')))
    warnings.push('--tls-keylog: the keys of all TLS connections are written to a file, those of the mesh included')
  return warnings
}
