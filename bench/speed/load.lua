-- Sends requests as the environment says: OPERATION, DIALECT (trusted or plain), TOKEN, DEVICES (number),
-- IDS (a file with ids of devices), BASE (before the first new MAC address). Counts wrong responses, and
-- prints the first.
local operation, dialect = os.getenv("OPERATION"), os.getenv("DIALECT")
local token, devices = os.getenv("TOKEN"), tonumber(os.getenv("DEVICES"))
local base = tonumber(os.getenv("BASE"))
local counter, wrong = 0, 0
local ids = {}
for id in io.lines(os.getenv("IDS")) do ids[#ids + 1] = id end

local CONFIG = "config { version intervalSeconds qos }"
local BOOT = "{ me { topics { data listen } " .. CONFIG .. " } }"
local REGISTER = "mutation ($i: RegisterDeviceInput!) { registerDevice(input: $i) { outcome token device { id topics { data listen } " .. CONFIG .. " } errors { code field message } } }"
local CHANGE = "mutation ($i: UpdateConfigInput!) { updateConfig(input: $i) { " .. CONFIG .. " errors { code field message } } }"
local LIST = "{ devices(first: 50) { nodes { id owner location { place latitude longitude } measurementType sensorModel state topics { data } " .. CONFIG .. " inSync online } } }"

local function post(bearer, body)
  return wrk.format("POST", "/graphql", {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. bearer}, body)
end

local function mac()
  counter = counter + 1
  return string.format("%012x", base + counter)
end

local requests = {
  boot = function()
    local n = math.random(1, devices - 1)
    if n % 1000 == 0 then n = n + 1 end
    local body = dialect == "trusted" and '{"documentId":"b"}' or '{"query":"' .. BOOT .. '"}'
    return post(string.format("rcd_%024d", n), body)
  end,
  register = function()
    if dialect == "trusted" then
      return post(token, '{"documentId":"r","variables":{"mac":"' .. mac() .. '","owner":"Owner 7","place":"Place 3","lat":48.85,"lon":2.35,"type":"Type 2","model":"BME280","fw":"1.0"}}')
    end
    return post(token, '{"query":"' .. REGISTER .. '","variables":{"i":{"mac":"' .. mac() .. '","owner":"Owner 7","location":{"place":"Place 3","latitude":48.85,"longitude":2.35},"measurementType":"Type 2","sensorModel":"BME280","firmware":"1.0"}}}')
  end,
  change = function()
    local id, interval = ids[math.random(#ids)], math.random(10, 86400)
    return post(token, '{"query":"' .. CHANGE .. '","variables":{"i":{"deviceId":"' .. id .. '","intervalSeconds":' .. interval .. '}}}')
  end,
  list = function()
    return post(token, '{"query":"' .. LIST .. '"}')
  end,
}
local expected = {boot = '{"data":{"me":{', register = "CREATED", list = "measurementType", change = '"config":{'}

request = requests[operation]

response = function(status, _, body)
  if status ~= 200 or not string.find(body, expected[operation], 1, true) or string.find(body, '"errors":%[{') then
    wrong = wrong + 1
    if wrong == 1 then io.stderr:write("wrong response: " .. status .. " " .. string.sub(body, 1, 300) .. "\n") end
  end
end
