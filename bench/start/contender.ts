import { report, settings } from '../contender.ts'

const { cacheDir, controlPlane, host } = settings<{ cacheDir: string; controlPlane: string; host: string }>()

const rssBefore = process.memoryUsage().rss
const begun = performance.now()
const { createMesh }: typeof import('../../src/index.ts') = await import(new URL('../../dist/index.js', import.meta.url).href)
const importedAfterMs = performance.now() - begun
const env = { INMESH_CONTROL_PLANE: controlPlane, INMESH_SERVICE: 'bench', INMESH_CACHE_DIR: cacheDir }
const mesh = await createMesh({ hosts: [host], env })
const value = performance.now() - begun
const megabytes = (process.memoryUsage().rss - rssBefore) / 1024 / 1024
if (mesh.snapshot().authorities[0]?.state !== 'ready') throw new Error('not ready')
report({ value, importMs: importedAfterMs, megabytes, stale: mesh.status()?.staleAuthorities.length ?? 0 })
// The first configuration is written to disk on the way out, for those that start from it.
await mesh.close()
process.exit()
