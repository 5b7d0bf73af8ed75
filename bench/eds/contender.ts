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

// Apart, since sampling the loop takes time of its own. What else the machine does stops a process for longer than its own work, so
// the work of the thread between two turns is measured beside the time.
const threadMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
let [time, work, longestBlockMs, longestStallMs] = [performance.now(), threadMs(), 0, 0]
const sampler = setInterval(() => {
  const [now, done] = [performance.now(), threadMs()]
  longestBlockMs = Math.max(longestBlockMs, done - work)
  longestStallMs = Math.max(longestStallMs, now - time)
  ;[time, work] = [now, done]
}, 1)
await changes(updates)
clearInterval(sampler)

report({ value: (used.user + used.system) / 1000 / updates, longestBlockMs, longestStallMs, endpoints: count() ?? 0 })
clearInterval(alive)
process.exit()
