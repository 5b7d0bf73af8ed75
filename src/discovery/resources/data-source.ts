import { readFileSync } from 'node:fs'
import type { DataSource } from '../gen/envoy/config/core/v3/base_pb.ts'
import type { Problems } from './problems.ts'

/** Reads `envoy.config.core.v3.DataSource` as text: inline, from a file, or from the environment. */
export function readDataSource(source: DataSource, problems: Problems): string {
  const { specifier } = source
  switch (specifier.case) {
    case 'inlineString':
      return specifier.value
    case 'inlineBytes':
      return new TextDecoder().decode(specifier.value)
    case 'filename':
      try {
        return readFileSync(specifier.value, 'utf8')
      } catch (error) {
        problems.addAt('filename', error instanceof Error ? error.message : String(error))
        return ''
      }
    case 'environmentVariable': {
      const value = process.env[specifier.value]
      if (value === undefined) problems.addAt('environment_variable', `"${specifier.value}" is not set`)
      return value ?? ''
    }
    default:
      problems.addAt('specifier', 'is required')
      return ''
  }
}
