import { UsageError } from './exit-code.ts'

/** Reads the port of an option. */
export function portOf(option: string, text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new UsageError(`--${option}: ${text} is not a port`)
  return port
}
