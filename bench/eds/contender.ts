import { monitorEventLoopDelay } from 'node:perf_hooks'
import { built, report, settings } from '../contender.ts'

const { port, updates, warmup } = settings<{ port: number; updates: number; warmup: number }>()

const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
const mesh = await createMesh({ hosts: ['big'], env: { INMESH_CONTROL_PLANE: `127.0.0.1:${port}`, INMESH_SERVICE: 'bench' } })
// The stream of a mesh does not keep a process alive.
const alive = setInterval(() => {}, 1000)
const count = () => mesh.snapshot().clusters.find(({ name }) => name === 'big')?.endpoints.length

const changes = (wanted: number) =>
  new Promise<void>(resolve => {
    let left = wanted
    const off = mesh.on('config', () => {
      if (--left > 0) return
      off()
      resolve()
    })
  })

await changes(warmup)
const before = process.cpuUsage()
await changes(updates)
const used = process.cpuUsage(before)

// Apart, since sampling the loop takes time of its own.
const resolutionMs = 1
const delay = monitorEventLoopDelay({ resolution: resolutionMs })
delay.enable()
await changes(updates)
delay.disable()

report({
  value: (used.user + used.system) / 1000 / updates,
  longestBlockMs: delay.max / 1e6 - resolutionMs,
  endpoints: count() ?? 0,
})
clearInterval(alive)
process.exit()
