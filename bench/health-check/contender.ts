import { built, report, settings } from '../contender.ts'

const { path, seconds } = settings<{ path: string; seconds: number }>()

const { createMesh } = await built<typeof import('../../src/index.ts')>('index')
const mesh = await createMesh({ staticConfig: path, hosts: ['big'], env: {} })

// Sampling takes time of its own. What else the machine does stops a process for longer than its own work, so the work of the thread between
// two turns is measured beside the time.
const threadMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
let [time, work, longestBlockMs, longestStallMs] = [performance.now(), threadMs(), 0, 0]
setInterval(() => {
  const [now, done] = [performance.now(), threadMs()]
  longestBlockMs = Math.max(longestBlockMs, done - work)
  longestStallMs = Math.max(longestStallMs, now - time)
  ;[time, work] = [now, done]
}, 1)
// A cluster that is never called is checked seldom.
let [answered, failed] = [0, 0]
const calls = setInterval(() => {
  mesh.fetch('http://big/').then(
    async response => {
      await response.arrayBuffer()
      if (response.ok) answered++
      else failed++
    },
    () => {
      failed++
    },
  )
}, 10)
const before = process.cpuUsage()
const begun = performance.now()
await new Promise(resolve => setTimeout(resolve, seconds * 1000))
clearInterval(calls)
const used = process.cpuUsage(before)
const cpuPercent = (used.user + used.system) / 10 / (performance.now() - begun)
const endpoints = mesh.snapshot().clusters.find(({ name }) => name === 'big')?.endpoints ?? []
const healthy = endpoints.filter(({ failedHealthCheck }) => !failedHealthCheck).length
report({ value: longestBlockMs, longestStallMs, cpuPercent, answered, failed, healthy, endpoints: endpoints.length })
process.exit()
