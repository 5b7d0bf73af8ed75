import { report, settings } from '../contender.ts'
import { call, makeClient, type Which } from './client.ts'

const { which, port } = settings<{ which: Which; port: number }>()

const rssBefore = process.memoryUsage().rss
const before = process.cpuUsage()
const begun = performance.now()
const client = await makeClient(which, port)
await call(client)
const ms = performance.now() - begun
const used = process.cpuUsage(before)
const megabytes = (process.memoryUsage().rss - rssBefore) / 1024 / 1024
report({ value: (used.user + used.system) / 1000, ms, megabytes })
process.exit()
