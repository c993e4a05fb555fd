-- Builds what a script sees: the pure part of the standard library, without a way to the machine, and with nothing
-- whose outcome depends on where something lies in memory. Gets functions of the host, returns a maker of environments.
local host = ...
local charge = host.charge
local error, getmetatable, rawequal, rawget, rawlen = error, getmetatable, rawequal, rawget, rawlen
local setmetatable, tostring, type, raw_next = setmetatable, tostring, type, next
local insert, remove, concat, sort = table.insert, table.remove, table.concat, table.sort
local pack, unpack, format = table.pack, table.unpack, string.format

local function copy(from)
  local to = {}
  for key, value in raw_next, from do to[key] = value end
  return to
end

-- What takes time by the length of its first argument pays for it.
local function charged(work)
  return function(list, ...)
    charge(rawlen(list))
    return work(list, ...)
  end
end

local function before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then return kind_a < kind_b end
  if kind_a == "number" or kind_a == "string" then return a < b end
  return false
end

local function keys_of(list)
  local keys, count = {}, 0
  for key in raw_next, list do
    count = count + 1
    keys[count] = key
  end
  sort(keys, before)
  return keys, count
end

local function ordered_pairs(list)
  local keys, count = keys_of(list)
  local at = 0
  return function()
    while at < count do
      at = at + 1
      local value = rawget(list, keys[at])
      if value ~= nil then return keys[at], value end
    end
  end, list, nil
end

local function ordered_next(list, key)
  local keys, count = keys_of(list)
  local at = 0
  if key ~= nil then
    repeat at = at + 1 until at > count or rawequal(keys[at], key)
    if at > count then error("invalid key to 'next'", 2) end
  end
  local following = keys[at + 1]
  if following == nil then return nil end
  return following, rawget(list, following)
end

local function plain_tostring(value)
  local kind = type(value)
  if kind ~= "table" and kind ~= "function" then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") ~= nil then return (rawget(meta, "__tostring")(value)) end
  return kind
end

local function plain_format(pattern, ...)
  local arguments = pack(...)
  for at = 1, arguments.n do
    local kind = type(arguments[at])
    if kind == "table" or kind == "function" then arguments[at] = plain_tostring(arguments[at]) end
  end
  return format(pattern, unpack(arguments, 1, arguments.n))
end

-- What would run after the script has ended is not taken.
local function tame_setmetatable(list, meta)
  if type(meta) == "table" and (rawget(meta, "__gc") ~= nil or rawget(meta, "__mode") ~= nil) then
    error("__gc and __mode are not allowed", 2)
  end
  return setmetatable(list, meta)
end

local function length(list) return rawlen(list) end

local function largest_index(list)
  local largest = 0
  for key in raw_next, list do
    if type(key) == "number" and key > largest then largest = key end
  end
  return largest
end

local texts = {
  byte = charged(string.byte), char = string.char, find = host.find, format = plain_format, gmatch = host.gmatch,
  gsub = host.gsub, len = string.len, lower = string.lower, match = host.match, rep = string.rep,
  reverse = string.reverse, sub = string.sub, upper = string.upper,
}
local lists = {
  concat = charged(concat), insert = charged(insert), remove = charged(remove), sort = charged(sort),
  getn = length, maxn = largest_index, pack = pack, unpack = charged(unpack),
}
local numbers = copy(math)
numbers.random, numbers.randomseed = nil, nil
local moments = { time = host.time, date = host.date }
local basics = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = ordered_next,
  pairs = ordered_pairs, pcall = host.pcall, print = function() end, rawequal = rawequal, rawget = rawget,
  rawlen = rawlen, rawset = rawset, select = select, setmetatable = tame_setmetatable, tonumber = tonumber,
  tostring = plain_tostring, type = type, unpack = charged(unpack), _VERSION = "Lua 5.1",
}

local of_texts = getmetatable("")
of_texts.__index = copy(texts)
of_texts.__metatable = false

return function()
  local environment = copy(basics)
  environment.string = copy(texts)
  environment.table = copy(lists)
  environment.math = copy(numbers)
  environment.os = copy(moments)
  environment._G = environment
  return environment
end
