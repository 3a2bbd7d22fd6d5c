# Injected through CMAKE_PROJECT_INCLUDE, so that every package's CMakeLists.txt stays standard.
#
# The message packages of the ROS wheels export the include folder of the Python that they were built with, which does
# not exist here, and CMake refuses imported targets with missing folders. This drops the missing folders once a
# package's own CMakeLists.txt has run. With /opt/ros nothing is missing and nothing changes.

function(keypoint_drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(kept)
    foreach(folder IN LISTS folders)
      if(folder MATCHES "^\\$<" OR EXISTS "${folder}")
        list(APPEND kept "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
  endforeach()
endfunction()

cmake_language(DEFER CALL keypoint_drop_missing_includes)
