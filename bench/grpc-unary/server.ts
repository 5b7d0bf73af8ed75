import * as grpc from '@grpc/grpc-js'
import { echoService } from './echo-service.ts'

/** A server that echoes unary calls; prints its port. */
const server = new grpc.Server()
server.addService(echoService, {
  Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => callback(null, call.request),
})
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  process.stdout.write(`${port}\n`)
})
