import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

let loaded: typeof import('re2js') | null = null

/** The engine of RE2 regexes, loaded for the first that needs it: most configurations have none, and it takes 3 MB. */
export function re2(): typeof import('re2js') {
  loaded ??= require('re2js') as typeof import('re2js')
  return loaded
}
